//! Services: scripts in daemon processes of their own (reference 8.1).

use super::wsgi::Group;
use super::{Conf, always_quoted, path};
use crate::server::{Server, Service};

pub(super) fn write(conf: &mut Conf, server: &Server) {
    if server.services.is_empty() {
        return;
    }
    conf.title("Services");
    for service in &server.services {
        match &service.log {
            None => one(conf, server, service),
            // A host has a log of its own; on a port that nobody listens on it has
            // no requests.
            Some(log) => conf.section("VirtualHost", "127.0.0.1:1", |conf| {
                conf.line("ServerName", [format!("{}.service.invalid", service.name)]);
                conf.line("ErrorLog", [path(log)]);
                one(conf, server, service);
            }),
        }
    }
}

fn one(conf: &mut Conf, server: &Server, service: &Service) {
    let name = format!("service:{}", service.name);
    let mut group = Group::new(&name, "%{GROUP}");
    group.add_quoted("user", &service.user);
    group.add_quoted("group", &service.group);
    group.add("threads", 0);
    group.place(server);
    group.metrics(server);
    conf.written("WSGIDaemonProcess", &group.text);
    conf.written(
        "WSGIImportScript",
        &format!(
            "{} process-group={} application-group=%{{GLOBAL}}",
            always_quoted(&service.script),
            always_quoted(&name)
        ),
    );
}
