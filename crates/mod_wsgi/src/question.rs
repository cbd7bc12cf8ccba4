//! Scripts that decide about a request are asked: a function of theirs is called
//! on the Python side.

use door::{Answer, Answered, Answers, List, Question, Sink, Text};
use httpd::{Level, Request};
use wsgi::group;
use wsgi::key::Key;

use crate::config::{DirectoryConfig, Script};
use crate::environ::Environ;
use crate::exchange::exchange_of;
use crate::names::Names;
use crate::signals::AtWork;
use crate::{handler, python};

/// A script that can be asked about one request.
pub(crate) struct Asked<'a> {
    request: Request<'a>,
    script: &'a Script,
    config: &'a DirectoryConfig,
    group: String,
    environ: Environ<'a>,
    knows_tls: bool,
}

impl<'a> Asked<'a> {
    /// A script that decides who may see the request.
    pub(crate) fn about_access(
        request: Request<'a>,
        script: &'a Script,
        config: &'a DirectoryConfig,
    ) -> Self {
        let names = Names::of(request);
        let group = group::script_group(script.application_group.as_deref(), &names);
        let environ = Environ::of_access(request, &names);
        Self { request, script, config, group, environ, knows_tls: true }
    }

    /// A script that decides where the request is handled.
    pub(crate) fn about_place(
        request: Request<'a>,
        script: &'a Script,
        config: &'a DirectoryConfig,
        names: &Names<'a>,
        mut environ: Environ<'a>,
    ) -> Self {
        let group = group::script_group(script.application_group.as_deref(), names);
        // The groups that this script itself runs in.
        environ.add(Key::ProcessGroup, b"");
        environ.add(Key::ApplicationGroup, request.lend(group.as_bytes()));
        Self { request, script, config, group, environ, knows_tls: false }
    }

    /// Path of the script.
    pub(crate) fn path(&self) -> &str {
        &self.script.path
    }

    /// The answer of a function that is given these texts; its own texts go to
    /// `take`.
    pub(crate) fn ask(
        &self,
        function: &str,
        arguments: &[&[u8]],
        answers: Answers,
        mut take: impl FnMut(&[u8]),
    ) -> Answer {
        self.ask_all(&[function], arguments, answers, |_number, text| take(text)).answer
    }

    /// The same with several functions, which share one environ. The answer is that
    /// of the last one that was called: all of them, unless one fails.
    pub(crate) fn ask_all(
        &self,
        functions: &[&str],
        arguments: &[&[u8]],
        answers: Answers,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Answered {
        let Some(guest) = python::guest_for_request() else {
            self.log("WSGI0210: Embedded mode of mod_wsgi cannot be used as Python was not initialised in this process.");
            return Answered { number: 0, answer: Answer::NotLoaded };
        };
        let functions: Vec<Text<'_>> =
            functions.iter().map(|name| Text::new(name.as_bytes())).collect();
        let arguments: Vec<Text<'_>> = arguments.iter().map(|text| Text::new(text)).collect();
        let question = Question {
            exchange: exchange_of(self.request),
            script: door::Script {
                path: Text::new(self.script.path.as_bytes()),
                time: handler::time_of(&self.script.path),
                application_group: Text::new(self.group.as_bytes()),
                reloading: self.config.script_reloading.unwrap_or(true),
            },
            functions: List::new(&functions),
            environ: self.environ.list(),
            arguments: List::new(&arguments),
            answers,
            filename: Text::new(self.request.filename()),
            knows_tls: self.knows_tls,
        };
        let _at_work = AtWork::begin();
        // SAFETY: the guest's own function; all texts outlive the call.
        unsafe { (guest.ask)(&question, Sink::new(&mut take)) }
    }

    /// Logs an error of the script's.
    pub(crate) fn log(&self, text: &str) {
        log(self.request, text);
    }
}

/// Logs an error with the file of the request before it.
pub(crate) fn log(request: Request<'_>, text: &str) {
    let file = String::from_utf8_lossy(request.filename());
    request.log(crate::index(), Level::Error, &format!("[script {file}] {text}"));
}
