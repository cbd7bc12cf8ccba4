//! Folders and files: what is served as it is, and what goes to the application.

use std::path::Path;

use super::{Conf, always_quoted, escaped, path, wsgi};
use crate::options::pairs;
use crate::server::Server;

/// Documents and the server's own folder.
pub(super) fn folders(conf: &mut Conf, server: &Server) {
    let content = &server.options.content;
    conf.title("Files");
    conf.line("DocumentRoot", [path(&server.document_root)]);
    conf.line("AccessFileName", [".htaccess"]);
    conf.section("Directory", &path(&server.root), |conf| {
        overrides(conf, server);
        for one in server.applications() {
            conf.section("Files", &one.script(), |conf| {
                conf.line("Require", ["all", "granted"]);
            });
        }
    });
    conf.section("Directory", &path(&server.document_root), |conf| {
        overrides(conf, server);
        if let Some(file) = &content.directory_index {
            conf.line("DirectoryIndex", [file]);
        }
        if content.directory_listing {
            conf.line("Options", ["+Indexes"]);
        }
        if content.with_cgi {
            conf.line("Options", ["+ExecCGI"]);
        }
        conf.line("RewriteEngine", ["On"]);
        conf.line("RewriteOptions", ["InheritDownBefore"]);
        conf.line("Include", [path(&server.rewrite_rules())]);
        conf.line("Require", ["all", "granted"]);
    });
}

fn overrides(conf: &mut Conf, server: &Server) {
    let words = &server.options.content.allow_override;
    if !words.is_empty() {
        conf.line("AllowOverride", words);
    }
}

/// What is no file goes to the application.
pub(super) fn dispatch(conf: &mut Conf, server: &Server) {
    if !server.dispatches() {
        return;
    }
    conf.section("Directory", &path(&server.mount_folder()), |conf| {
        conf.line("RewriteEngine", ["On"]);
        conf.written("RewriteCond", "%{REQUEST_FILENAME} !-f");
        if server.options.content.directory_index.is_some() {
            // The folder of the mount point is made for it, and not to be served.
            let mount = server.mount_point.trim_end_matches('/');
            if !mount.is_empty() {
                let mount = always_quoted(&format!("={mount}/"));
                conf.written("RewriteCond", &format!("%{{REQUEST_URI}} {mount} [OR]"));
            }
            conf.written("RewriteCond", "%{REQUEST_FILENAME} !-d");
        }
        if server.options.telemetry.server_status {
            conf.written("RewriteCond", "%{REQUEST_URI} !/server-status");
        }
        conf.written("RewriteRule", &format!(".* - [H=wsgi-handler{}]", server.suffix));
    });
}

/// Error override, host access and user authentication.
pub(super) fn access(conf: &mut Conf, server: &Server) {
    let access = &server.options.access;
    if server.options.content.error_override {
        conf.line("WSGIErrorOverride", ["On"]);
    }
    if let Some(script) = &access.host_access_script {
        let (section, urls) = match &server.options.status.health_url {
            None => ("Location", "/".to_owned()),
            // The script would be asked before all that a section of that URL can say.
            Some(url) => ("LocationMatch", format!("^(?!{}(/ready)?$)", escaped(url))),
        };
        conf.section(section, &urls, |conf| {
            conf.line("WSGIAccessScript", [server.absolute(script)]);
        });
    }
    if let Some(script) = &access.auth_user_script {
        conf.section("Location", "/", |conf| {
            conf.line("AuthType", [&access.auth_type]);
            let realm = format!("{}:{}", server.host, server.port);
            conf.written("AuthName", &always_quoted(&realm));
            let provider = format!("Auth{}Provider", access.auth_type);
            conf.line(&provider, ["wsgi"]);
            conf.line("WSGIAuthUserScript", [server.absolute(script)]);
            match &access.auth_group_script {
                Some(groups) => {
                    conf.line("WSGIAuthGroupScript", [server.absolute(groups)]);
                    conf.section("RequireAll", "", |conf| {
                        conf.line("Require", ["valid-user"]);
                        conf.line("Require", ["wsgi-group", &access.auth_group]);
                    });
                }
                None => conf.line("Require", ["valid-user"]),
            }
        });
    }
}

/// Files and folders at URLs of their own; the longer URLs come first.
pub(super) fn aliases(conf: &mut Conf, server: &Server) {
    let mut aliases: Vec<(&str, &str)> = pairs(&server.options.content.url_alias).collect();
    aliases.sort_unstable();
    for (url, target) in aliases.into_iter().rev() {
        let slash = if target.ends_with('/') && target != "/" { "/" } else { "" };
        let target = server.absolute(target);
        conf.line("Alias", [url, &format!("{target}{slash}")]);
        let grant = |conf: &mut Conf| conf.line("Require", ["all", "granted"]);
        let file = Path::new(&target);
        match (file.is_file(), file.parent(), file.file_name()) {
            (true, Some(folder), Some(name)) => conf.section("Directory", &path(folder), |conf| {
                conf.section("Files", &name.to_string_lossy(), grant);
            }),
            _ => conf.section("Directory", &target, |conf| {
                overrides(conf, server);
                grant(conf);
            }),
        }
    }
}

pub(super) fn error_documents(conf: &mut Conf, server: &Server) {
    for (status, url) in pairs(&server.options.content.error_document) {
        conf.line("ErrorDocument", [status, url]);
    }
}

/// WSGI scripts and CGI scripts by extension.
pub(super) fn handlers(conf: &mut Conf, server: &Server) {
    let content = &server.options.content;
    if !content.add_handler.is_empty() {
        let script = always_quoted(&path(&server.path("resource.wsgi")));
        let process = wsgi::process_group(server);
        conf.written(
            "WSGIHandlerScript",
            &format!("wsgi-resource {script} {process} application-group=%{{GLOBAL}}"),
        );
        conf.section("Directory", &path(&server.root), |conf| {
            conf.section("Files", "resource.wsgi", |conf| {
                conf.line("Require", ["all", "granted"]);
            });
        });
        for (extension, _) in pairs(&content.add_handler) {
            conf.line("AddHandler", ["wsgi-resource", extension]);
        }
    }
    if content.with_cgi {
        conf.line("AddHandler", ["cgi-script", ".cgi"]);
    }
}

/// Files of the user's.
pub(super) fn includes(conf: &mut Conf, server: &Server) {
    for file in &server.options.content.include_file {
        conf.line("Include", [server.absolute(file)]);
    }
}
