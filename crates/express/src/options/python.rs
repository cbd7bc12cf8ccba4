//! Options that say what is served, and in which Python.

use clap::Args;

/// The application and its Python.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Application and Python")]
pub struct Python {
    /// What the entry point is: a Python file (`script`), the name of a module
    /// (`module`), a Paste deployment file (`paste`), or a folder of files (`static`).
    #[arg(long, value_name = "TYPE", default_value = "script",
          value_parser = ["script", "module", "paste", "static"])]
    pub application_type: String,
    /// The entry point by name; wins over the one given as a word.
    #[arg(long, value_name = "FILE-PATH|MODULE")]
    pub entry_point: Option<String>,
    /// The callable object in the entry point.
    #[arg(long, value_name = "NAME", default_value = "application")]
    pub callable_object: String,
    /// The application group, a Python interpreter of its own, to run in. Unset, the
    /// main interpreter.
    #[arg(long, value_name = "NAME")]
    pub application_group: Option<String>,
    /// Name of the daemon process group. Unset, HOST:PORT.
    #[arg(long, value_name = "NAME")]
    pub process_group: Option<String>,
    /// URL path at which the application is mounted.
    #[arg(long, value_name = "URL-PATH", default_value = "/")]
    pub mount_point: String,
    /// Folder that processes run in; first on `sys.path`. Unset, the current folder.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub working_directory: Option<String>,
    /// Folder to search for modules before any other. May be repeated.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub python_path: Vec<String>,
    /// Folder that Python eggs are unpacked to.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub python_eggs: Option<String>,
    /// A filter for Python's warnings, as its option -W. May be repeated.
    #[arg(long, value_name = "SPEC")]
    pub python_warnings: Vec<String>,
    /// Locale of the application. Unset, that of the caller, or C.UTF-8.
    #[arg(long, value_name = "NAME")]
    pub locale: Option<String>,
    /// Old name of --locale.
    #[arg(long, value_name = "NAME", hide = true)]
    pub lang: Option<String>,
    /// A variable for the WSGI environ of every request. May be repeated.
    #[arg(long, num_args = 2, value_names = ["KEY", "VALUE"])]
    pub setenv: Vec<String>,
    /// A variable of the caller's environment for the WSGI environ of every request.
    /// May be repeated.
    #[arg(long, value_name = "KEY")]
    pub passenv: Vec<String>,
    /// Shell script that sets the environment of the server before it starts.
    #[arg(long, value_name = "FILE-PATH")]
    pub envvars_script: Option<String>,
}

/// Options of 4.4.7 for New Relic, which later releases dropped.
#[derive(Clone, Debug, Args)]
pub struct NewRelic {
    /// The agent and the platform plug-in.
    #[arg(long, hide = true)]
    pub with_newrelic: bool,
    /// The agent.
    #[arg(long, hide = true)]
    pub with_newrelic_agent: bool,
    /// The platform plug-in.
    #[arg(long, hide = true)]
    pub with_newrelic_platform: bool,
    /// Configuration of the agent.
    #[arg(long, value_name = "FILE-PATH", hide = true)]
    pub newrelic_config_file: Option<String>,
    /// Section of that configuration.
    #[arg(long, value_name = "NAME", hide = true)]
    pub newrelic_environment: Option<String>,
}

impl NewRelic {
    /// Whether the agent is asked for.
    #[must_use]
    pub fn agent(&self) -> bool {
        self.with_newrelic || self.with_newrelic_agent
    }

    /// Whether the platform plug-in is asked for.
    #[must_use]
    pub fn platform(&self) -> bool {
        self.with_newrelic || self.with_newrelic_platform
    }
}
