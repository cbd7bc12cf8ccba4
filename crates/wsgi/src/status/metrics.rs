//! The facts in the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::{Group, Process, State, Status};

impl Status {
    /// The whole page.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut page = Page::default();
        self.of_server(&mut page);
        self.of_groups(&mut page);
        page.0
    }

    fn of_server(&self, page: &mut Page) {
        let server = &self.server;
        let info = [("version", server.version.as_str()), ("mpm", &server.mpm)];
        page.family("mod_wsgi_server_info", "gauge", "The server; always 1.");
        page.sample("mod_wsgi_server_info", &info, 1);
        page.only(
            "mod_wsgi_server_start_time_seconds",
            "gauge",
            "When httpd was started or restarted, in seconds since 1970.",
            server.started,
        );
        page.only(
            "mod_wsgi_server_generation",
            "gauge",
            "Graceful restarts since the start.",
            server.generation,
        );
        page.family("mod_wsgi_server_workers", "gauge", "Workers of httpd, by state.");
        for (state, count) in [("busy", server.busy), ("idle", server.idle)] {
            page.sample("mod_wsgi_server_workers", &[("state", state)], count);
        }
        page.only(
            "mod_wsgi_server_workers_limit",
            "gauge",
            "Workers that there may be.",
            server.capacity,
        );
        if let Some(requests) = server.requests {
            let help = "Requests that httpd has answered.";
            page.only("mod_wsgi_server_requests_total", "counter", help, requests);
        }
        if let Some(bytes) = server.bytes {
            let help = "Bytes that httpd has sent.";
            page.only("mod_wsgi_server_sent_bytes_total", "counter", help, bytes);
        }
        page.family(
            "mod_wsgi_server_memory_bytes",
            "gauge",
            "Memory of a process of httpd, with its part of what it shares where that is known.",
        );
        for child in &server.processes {
            if let Some(memory) = child.memory {
                let labels = [("pid", &*child.pid.to_string())];
                page.sample("mod_wsgi_server_memory_bytes", &labels, memory.bytes);
            }
        }
    }

    fn of_groups(&self, page: &mut Page) {
        let takers = || self.groups.iter().filter(|group| !group.is_service());
        page.family(
            "mod_wsgi_group_capacity",
            "gauge",
            "Requests that the processes of a group can have at once.",
        );
        for group in takers() {
            let capacity = usize::from(group.threads) * group.processes.len();
            page.sample("mod_wsgi_group_capacity", &[("group", &group.name)], capacity);
        }
        let all = &self.groups[..];
        let families: [Family<'_>; 9] = [
            (
                "mod_wsgi_requests_total",
                "counter",
                "Requests that were given to the daemon processes of a place.",
                false,
                &|_, process| Some(process.requests.to_string()),
            ),
            (
                "mod_wsgi_requests_in_progress",
                "gauge",
                "Requests that have a thread.",
                false,
                &|group, process| Some(process.busy_and_waiting(group.threads).0.to_string()),
            ),
            (
                "mod_wsgi_requests_waiting",
                "gauge",
                "Requests that wait for a thread.",
                false,
                &|group, process| Some(process.busy_and_waiting(group.threads).1.to_string()),
            ),
            (
                "mod_wsgi_process_threads",
                "gauge",
                "Threads of a daemon process for requests.",
                false,
                &|group, _| Some(group.threads.to_string()),
            ),
            (
                "mod_wsgi_process_ready",
                "gauge",
                "Whether the daemon process of a place serves.",
                true,
                &|_, process| Some(u8::from(process.state == State::Ready).to_string()),
            ),
            ("mod_wsgi_process_pid", "gauge", "Its process id.", true, &|_, process| {
                Some(process.pid.to_string())
            }),
            (
                "mod_wsgi_process_start_time_seconds",
                "gauge",
                "When it was started, in seconds since 1970.",
                true,
                &|_, process| (process.started > 0.0).then(|| process.started.to_string()),
            ),
            (
                "mod_wsgi_process_restarts_total",
                "counter",
                "Processes that were started for a place after the first one.",
                true,
                &|_, process| Some(process.restarts.to_string()),
            ),
            (
                "mod_wsgi_process_memory_bytes",
                "gauge",
                "Memory of it, with its part of what it shares where that is known.",
                true,
                &|_, process| process.memory.map(|memory| memory.bytes.to_string()),
            ),
        ];
        for (name, kind, help, of_services, value) in families {
            page.family(name, kind, help);
            for group in all.iter().filter(|group| of_services || !group.is_service()) {
                for (place, process) in group.processes.iter().enumerate() {
                    if let Some(value) = value(group, process) {
                        let labels = [("group", &*group.name), ("process", &*place.to_string())];
                        page.sample(name, &labels, value);
                    }
                }
            }
        }
    }
}

/// Name, type, help, whether services have it, and its value for a process.
type Family<'a> = (&'a str, &'a str, &'a str, bool, &'a dyn Fn(&Group, &Process) -> Option<String>);

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _never = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _never = writeln!(self.0, "{name}{labels} {value}");
    }

    fn only(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Group, Memory, Process, Server};
    use super::*;

    #[test]
    fn names_and_values_are_as_prometheus_reads_them() {
        let memory = Some(Memory { bytes: 2048, proportional: true });
        let process = Process {
            pid: 7,
            state: State::Ready,
            started: 1.5,
            live: 3,
            requests: 41,
            restarts: 1,
            memory,
            ..Process::default()
        };
        let group = Group { name: "a \"b\\\n".to_owned(), threads: 2, processes: vec![process] };
        let service =
            Group { name: "s".to_owned(), threads: 0, processes: vec![Process::default()] };
        let server = Server { busy: 4, requests: Some(9), ..Server::default() };
        let status = Status { server, groups: vec![group, service], ..Status::default() };
        let page = status.metrics();
        for line in [
            "# TYPE mod_wsgi_requests_total counter",
            r#"mod_wsgi_requests_total{group="a \"b\\\n",process="0"} 41"#,
            r#"mod_wsgi_requests_in_progress{group="a \"b\\\n",process="0"} 2"#,
            r#"mod_wsgi_requests_waiting{group="a \"b\\\n",process="0"} 1"#,
            r#"mod_wsgi_group_capacity{group="a \"b\\\n"} 2"#,
            r#"mod_wsgi_process_start_time_seconds{group="a \"b\\\n",process="0"} 1.5"#,
            r#"mod_wsgi_process_memory_bytes{group="a \"b\\\n",process="0"} 2048"#,
            r#"mod_wsgi_process_ready{group="s",process="0"} 0"#,
            r#"mod_wsgi_server_workers{state="busy"} 4"#,
            "mod_wsgi_server_requests_total 9",
        ] {
            assert!(page.lines().any(|found| found == line), "`{line}` is not in\n{page}");
        }
        assert!(!page.contains("mod_wsgi_requests_total{group=\"s\""));
        assert!(!page.contains("sent_bytes"));
        assert!(page.ends_with('\n'));
    }
}
