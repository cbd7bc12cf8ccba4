//! The start of a server with groups of daemon processes: their sockets, what is
//! shared, and the supervisor. All of it in httpd's parent.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use httpd::{Level, Pool, Server, log_to, log_to_main, sys};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use wsgi::launch::{Launch, Preload};
use wsgi::options::daemon::{
    CHROOT_WITHOUT_ROOT, DaemonOptions, SCRIPT_GROUP_UNKNOWN, SCRIPT_USER_UNKNOWN,
    SOCKET_USER_UNKNOWN, USER_IS_ROOT, USER_UNKNOWN,
};

use super::account::{self, Account};
use super::board::{Board, State};
use super::client::Idle;
use super::gate::Gate;
use super::owner::Owner;
use super::place::Place;
use super::sockets::{self, Names};
use super::spawn::{Identity, Program, arguments, c_text, reset_signals};
use super::supervisor::{END, Mode, OUTDATE, Supervisor};
use super::team::Team;
use super::{Declared, Group};
use crate::config::GlobalConfig;
use crate::{interpreter, python};

/// The groups of the running server.
static GROUPS: AtomicPtr<Vec<Group>> = AtomicPtr::new(std::ptr::null_mut());

/// The group of that name.
pub(crate) fn find(name: &str) -> Option<&'static Group> {
    all().iter().find(|group| group.options.name == name)
}

/// All groups.
pub(crate) fn all() -> &'static [Group] {
    // SAFETY: null, or groups that stay until httpd's parent starts anew; its other
    // processes never give them back.
    unsafe { GROUPS.load(Ordering::Acquire).as_ref() }.map_or(&[], Vec::as_slice)
}

/// Whether there are groups of daemon processes.
pub(crate) fn is_any() -> bool {
    !GROUPS.load(Ordering::Acquire).is_null()
}

/// Starts the groups of a configuration.
pub(crate) fn start(main: Server, config: &GlobalConfig, pool: Pool) {
    let mut declared: Vec<&Declared> =
        python::configs(main).flat_map(|config| &config.daemons).collect();
    if declared.is_empty() {
        return;
    }
    declared.sort_by_key(|declared| declared.number);
    let names = Names {
        prefix: config.socket_prefix.clone().unwrap_or_else(|| default_prefix(pool)),
        generation: config
            .socket_rotation
            .unwrap_or(true)
            .then(|| python::asked_of_mpm(sys::AP_MPMQ_GENERATION)),
        uid: httpd_account().0,
    };
    sockets::sweep(&names.prefix);
    let mut groups = Vec::new();
    let mut listeners = Vec::new();
    for declared in &declared {
        match group_of(declared, &names) {
            Ok((group, sockets)) => {
                groups.push(group);
                listeners.push(sockets);
            }
            Err(why) => log_to(declared.server, crate::index(), Level::Critical, &why),
        }
    }
    let groups: &'static Vec<Group> = Box::leak(Box::new(groups));
    let teams = teams_of(main, config, &declared, groups, listeners, &names);
    GROUPS.store(std::ptr::from_ref(groups).cast_mut(), Ordering::Release);
    let sockets = groups.iter().flat_map(|group| group.sockets.iter().cloned()).collect();
    let start = Start { main, rotates: names.generation.is_some(), teams, sockets };
    if let Err(error) = start.supervise(pool) {
        log_failure(&error);
    }
}

fn log_failure(error: &std::io::Error) {
    let text = format!("WSGI0010: Daemon processes cannot be started: {error}.");
    log_to_main(crate::index(), Level::Critical, &text);
}

/// Whose supervisor waits for the scoreboard, to see it.
static WAITING: AtomicPtr<Running> = AtomicPtr::new(std::ptr::null_mut());

/// The scoreboard is there: starts the supervisor that waits for it, if any does.
pub(crate) fn start_waiting() {
    // SAFETY: S2: null, or kept by the pool of the configuration that httpd starts with.
    if let Some(running) = unsafe { WAITING.swap(std::ptr::null_mut(), Ordering::AcqRel).as_ref() }
    {
        running.start();
    }
}

fn default_prefix(pool: Pool) -> String {
    // SAFETY: S2, S4.
    httpd::setting_text(unsafe { sys::ap_runtime_dir_relative(pool.raw(), c"wsgi".as_ptr()) })
}

/// The group as httpd's processes know it, and its sockets. One whose sockets cannot
/// be made is there to say so.
fn group_of(declared: &Declared, names: &Names) -> Result<(Group, Vec<OwnedFd>), String> {
    let options = &declared.options;
    let count = usize::try_from(options.processes).unwrap_or(1);
    let is_root = rustix::process::geteuid().is_root();
    let owner = is_root.then(|| declared.socket_owner.unwrap_or(names.uid));
    let paths: Vec<PathBuf> =
        (0..count).map(|process| names.path(declared.number, process)).collect();
    let board = Board::new(count).map_err(|error| format!("WSGI0010: {error}"))?;
    let listeners: Result<Vec<OwnedFd>, String> =
        paths.iter().map(|path| sockets::make(path, options, owner)).collect();
    let listeners = listeners.unwrap_or_else(|why| {
        log_to(declared.server, crate::index(), Level::Critical, &why);
        board.slots().iter().for_each(|slot| slot.set_state(State::Failing));
        Vec::new()
    });
    let or = |timeout: Duration, other| if timeout.is_zero() { other } else { timeout };
    let socket_timeout = or(options.socket_timeout, declared.server.timeout());
    let group = Group {
        host: declared.server.is_virtual().then(|| declared.server.name()),
        board,
        sockets: paths,
        socket_timeout,
        response_socket_timeout: or(options.response_socket_timeout, socket_timeout),
        script_owner: declared.script_owner,
        idle: Idle::new(count),
        options: options.clone(),
    };
    Ok((group, listeners))
}

fn teams_of(
    main: Server,
    config: &GlobalConfig,
    all: &[&Declared],
    groups: &'static [Group],
    listeners: Vec<Vec<OwnedFd>>,
    names: &Names,
) -> Vec<Team> {
    let mut teams = Vec::new();
    for (group, listeners) in groups.iter().zip(listeners) {
        let Some(declared) =
            all.iter().find(|declared| declared.options.name == group.options.name)
        else {
            continue;
        };
        match program_of(main, config, group, declared) {
            Ok(program) => {
                let has_zygote = group.options.preload && !listeners.is_empty();
                if has_zygote {
                    warn_of_preload(&program.launch, declared.server);
                }
                let count = listeners.len() + usize::from(has_zygote);
                let name = &group.options.name;
                let is_service = group.options.threads == 0;
                teams.push(Team {
                    group,
                    server: declared.server,
                    program,
                    places: (0..count).map(|_| Place::default()).collect(),
                    gate: is_service.then(|| Gate::new(names.gate(name))),
                    listeners,
                });
            }
            Err(why) => {
                log_to(declared.server, crate::index(), Level::Critical, &why);
                group.board.slots().iter().for_each(|slot| slot.set_state(State::Broken));
            }
        }
    }
    teams
}

fn warn_of_preload(launch: &Launch, server: Server) {
    if !launch.preload.iter().any(|script| script.application_group.is_empty()) {
        let text = format!(
            "preload=on of daemon process '{}' has no script to load in advance: name its process-group and application-group=%{{GLOBAL}} in WSGIScriptAlias, or import it by WSGIImportScript.",
            launch.options.name
        );
        log_to(server, crate::index(), Level::Warning, &text);
    }
}

/// How the processes of a group are started.
fn program_of(
    main: Server,
    config: &GlobalConfig,
    group: &Group,
    declared: &Declared,
) -> Result<Program, String> {
    let options = &group.options;
    let python = &config.python;
    let home = options.python_home.as_ref().or(python.home.as_ref());
    let root = options.chroot.as_deref().unwrap_or_default();
    if let Some(why) = home.and_then(|home| python::doubt_about(&format!("{root}{home}"))) {
        let name = &options.name;
        return Err(format!(
            "{why} Daemon process '{name}' is not started, requests for it are answered 500."
        ));
    }
    let mut environment = Vec::new();
    let mut dropped = Vec::new();
    let pythons = home.map(|home| pythons_of(home, options.chroot.as_deref()));
    let pythons = pythons.filter(|pythons| !pythons.is_empty()).unwrap_or_else(|| {
        // A home may be a library alone: it is that of the Python that we are for then.
        if let Some(home) = home {
            environment.push(("PYTHONHOME".to_owned(), home.clone()));
            dropped.push("PYTHONHOME");
        }
        vec![interpreter::program()]
    });
    let mut flags = Vec::new();
    match python.optimize.unwrap_or(0) {
        ..=0 => {}
        1 => flags.push("-O".to_owned()),
        2.. => flags.push("-OO".to_owned()),
    }
    if python.dont_write_bytecode.unwrap_or(false) {
        flags.push("-B".to_owned());
    }
    flags.extend(python.warnings.iter().map(|warning| format!("-W{warning}")));
    let library = python::own_folder().ok_or("WSGI0010: The module does not find its own file.")?;
    let library = library.join("mod_wsgi_python.so");
    let (library, opened) = match options.chroot {
        Some(_) if !Path::new(&format!("{root}{}", library.display())).exists() => {
            let file = std::fs::File::open(&library).map_err(|error| {
                format!("WSGI0010: {} cannot be read: {error}", library.display())
            })?;
            (format!("/proc/self/fd/{}", wsgi::launch::LIBRARY), Some(file))
        }
        _ => (library.to_string_lossy().into_owned(), None),
    };
    for (name, value) in [("LANG", &options.lang), ("LC_ALL", &options.locale)] {
        environment.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
    }
    if let Some(seed) = python.hash_seed {
        environment.push(("PYTHONHASHSEED".to_owned(), seed.to_string()));
        dropped.push("PYTHONHASHSEED");
    }
    environment.push((wsgi::launch::DROP.to_owned(), dropped.join(",")));
    let (account, identity) = identity_of(declared)?;
    let folder = match &options.home {
        Some(home) => Some(home.clone()),
        // Apache's own folder is where it runs already.
        None if account.is_other => Some(account.home),
        None => None,
    };
    let (major, minor) = python::version_of_python();
    Ok(Program {
        pythons: pythons.iter().map(|path| c_text(path)).collect(),
        arguments: arguments(&flags, &library, &format!("{major}.{minor}")),
        environment,
        identity,
        folder: folder.map(|folder| c_text(&folder)),
        root: options.chroot.as_ref().map(|root| c_text(root)),
        umask: options.umask,
        priority: options.cpu_priority,
        limits: limits_of(options),
        launch: launch_of(main, config, group),
        library: opened,
        log: declared.server.is_virtual().then(|| declared.server.error_log()).flatten(),
    })
}

/// Programs of a Python home, those that are there.
fn pythons_of(home: &str, root: Option<&str>) -> Vec<String> {
    let all = ["python", "python3"].map(|name| format!("{home}/bin/{name}"));
    let is_there = |path: &&String| Path::new(&format!("{}{path}", root.unwrap_or(""))).exists();
    all.iter().filter(is_there).cloned().collect()
}

fn limits_of(options: &DaemonOptions) -> Vec<(u32, u64, u64, &'static str)> {
    let mut limits = Vec::new();
    let seconds = options.cpu_time_limit.as_secs();
    if seconds > 0 {
        let hard = seconds + 1 + options.shutdown_timeout.as_secs();
        limits.push((libc::RLIMIT_CPU, seconds, hard, "cpu-time-limit"));
    }
    for (which, limit, name) in [
        (libc::RLIMIT_DATA, options.memory_limit, "memory-limit"),
        (libc::RLIMIT_AS, options.virtual_memory_limit, "virtual-memory-limit"),
    ] {
        if limit > 0 {
            limits.push((which, limit, limit, name));
        }
    }
    limits
}

/// User and group of httpd's own processes.
fn httpd_account() -> (u32, u32) {
    // SAFETY: httpd's own record, once the configuration is read.
    unsafe {
        let config = &raw const sys::ap_unixd_config;
        ((*config).user_id, (*config).group_id)
    }
}

/// What is known of who a group runs as.
struct Runs {
    /// Whether it is not httpd's own account.
    is_other: bool,
    home: String,
}

fn identity_of(declared: &Declared) -> Result<(Runs, Option<Identity>), String> {
    let (httpd_uid, httpd_gid) = httpd_account();
    if !rustix::process::geteuid().is_root() {
        return Ok((Runs { is_other: false, home: String::new() }, None));
    }
    let account = match &declared.account {
        Some(account) => account.clone(),
        // httpd's own processes stay what they are, too; httpd has its word about it.
        None if httpd_uid == u32::MAX => {
            return Ok((Runs { is_other: false, home: String::new() }, None));
        }
        None => account::user(&format!("#{httpd_uid}")).unwrap_or(Account {
            name: format!("#{httpd_uid}"),
            uid: httpd_uid,
            gid: httpd_gid,
            home: "/".to_owned(),
        }),
    };
    if account.uid == 0 {
        return Err(USER_IS_ROOT.to_owned());
    }
    let gid = declared.gid.unwrap_or(httpd_gid);
    let groups = (!declared.groups.is_empty())
        .then(|| std::iter::once(gid).chain(declared.groups.iter().copied()).collect());
    let runs = Runs { is_other: account.uid != httpd_uid, home: account.home };
    let name = c_text(&account.name);
    Ok((runs, Some(Identity { name, uid: account.uid, gid, groups })))
}

fn launch_of(main: Server, config: &GlobalConfig, group: &Group) -> Launch {
    let options = &group.options;
    let python = &config.python;
    let mut sections = python.sections.clone();
    if let Some(first) = sections.first_mut() {
        // The group has an option of its own for it.
        first.options.path = None;
    }
    let [description, mpm_name, build_date] = python::words_about_httpd();
    Launch {
        sections,
        preload: preload_of(main, &options.name, options.chroot.as_deref()),
        socket_timeout: group.socket_timeout.as_secs(),
        clients: vec![httpd_account().0],
        log_level: httpd::log_level_of(main, crate::index()),
        telemetry: config.has_telemetry,
        case_sensitivity: config.case_sensitivity.unwrap_or(true),
        destroy_interpreter: python.destroy_interpreter.unwrap_or(true),
        apache_version: python::version_of(&description),
        apache_description: description,
        mpm_name,
        build_date,
        mpm_limits: [
            python::asked_of_mpm(sys::AP_MPMQ_MAX_DAEMONS),
            python::asked_of_mpm(sys::AP_MPMQ_MAX_THREADS).max(1),
        ],
        options: options.clone(),
    }
}

/// What its processes load before any request, as they see it.
fn preload_of(main: Server, group: &str, root: Option<&str>) -> Vec<Preload> {
    let seen = |path: &str| match root {
        Some(root) => crate::environ::below(root, path.as_bytes())
            .map(|path| String::from_utf8_lossy(path).into_owned()),
        None => Some(path.to_owned()),
    };
    let preloads = python::preloads(main, group).into_iter();
    preloads
        .filter_map(|(path, application_group)| {
            let application_group = application_group.to_owned();
            Some(Preload { path: seen(path)?, application_group })
        })
        .collect()
}

/// What a start of the supervisor needs.
struct Start {
    main: Server,
    rotates: bool,
    teams: Vec<Team>,
    sockets: Vec<PathBuf>,
}

/// httpd's parent's part of a running server with daemon processes; on drop it ends,
/// or goes on without the parent.
struct Running {
    start: Start,
    /// The parent that has made it: others only have a copy.
    owner: u32,
    supervisor: AtomicI32,
    orders: OwnedFd,
    /// Both ends: one for a supervisor that takes the place of another.
    taken: OwnedFd,
    clients: [OwnedFd; 2],
    is_hard: AtomicBool,
    pool: Pool,
}

impl Start {
    fn supervise(self, pool: Pool) -> std::io::Result<()> {
        let (taken, orders) = pipe_with(PipeFlags::CLOEXEC)?;
        let (ends, lives) = pipe_with(PipeFlags::CLOEXEC)?;
        let running = Running {
            start: self,
            owner: std::process::id(),
            supervisor: AtomicI32::new(0),
            orders,
            taken,
            clients: [ends, lives],
            is_hard: AtomicBool::new(false),
            pool,
        };
        let running = pool.keep(running);
        // SAFETY: S2: kept by the pool, which outlives all that uses it.
        let running: &'static Running = unsafe { &*running };
        ORDERS.store(running.orders.as_raw_fd(), Ordering::Relaxed);
        if httpd::scoreboard::Scoreboard::find().is_some() {
            running.start();
        } else {
            WAITING.store(std::ptr::from_ref(running).cast_mut(), Ordering::Release);
        }
        Ok(())
    }
}

/// The parent's end of the pipe of orders: none of its children's business.
static ORDERS: AtomicI32 = AtomicI32::new(-1);

/// In a process of httpd's that serves requests.
pub(crate) fn enter_child() {
    let orders = ORDERS.load(Ordering::Relaxed);
    // With -X the parent itself serves.
    if orders >= 0 && !httpd::is_defined(c"ONE_PROCESS") {
        // SAFETY: this process's copy, which nobody in it uses.
        unsafe { libc::close(orders) };
    }
}

impl Running {
    fn start(&'static self) {
        if let Err(error) = self.fork() {
            log_failure(&error);
        }
    }

    fn fork(&'static self) -> std::io::Result<()> {
        // SAFETY: httpd's parent has one thread.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()),
            0 => {
                httpd::enter("the supervisor", || self.be_supervisor());
                // SAFETY: nothing of httpd's may run at its end.
                unsafe { libc::_exit(0) }
            }
            pid => {
                self.supervisor.store(pid, Ordering::Relaxed);
                self.watch(pid);
                Ok(())
            }
        }
    }

    /// Has httpd tell of the supervisor's end, and of its own.
    fn watch(&'static self, pid: i32) {
        let process = sys::apr_proc_t {
            pid,
            r#in: std::ptr::null_mut(),
            out: std::ptr::null_mut(),
            err: std::ptr::null_mut(),
        };
        let process = self.pool.keep(process);
        let data = std::ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: S2: all of it is kept by the pool; without the others a process is but
        // its number.
        unsafe {
            sys::apr_proc_other_child_register(
                process,
                Some(maintain),
                data,
                std::ptr::null_mut(),
                self.pool.raw(),
            );
        }
    }

    fn be_supervisor(&self) {
        reset_signals();
        let keeps = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGWINCH, libc::SIGPIPE];
        for signal in keeps {
            // SAFETY: what httpd's parent is told by signals is not for us.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        let _own_session = rustix::process::setsid();
        // SAFETY: S4: one thread; httpd's ports are not to stay taken by us.
        unsafe { sys::ap_close_listeners() };
        // SAFETY: this process's own copies: ends of pipes that must not stay open here.
        unsafe {
            libc::close(self.orders.as_raw_fd());
            libc::close(self.clients[1].as_raw_fd());
        }
        // SAFETY: a copy of this process's own, which is never dropped: it ends by
        // `_exit`.
        let start = unsafe { std::ptr::read(&raw const self.start) };
        let copy = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().ok();
        Supervisor {
            orders: copy(&self.taken),
            clients: copy(&self.clients[0]),
            sockets: if start.rotates { start.sockets } else { Vec::new() },
            teams: start.teams,
            main: start.main,
            mode: Mode::Serving,
        }
        .run();
    }

    /// Waits for the supervisor for so long; ends it by force then.
    fn wait(&self, limit: Duration) {
        let pid = self.supervisor.load(Ordering::Relaxed);
        let begin = Instant::now();
        while pid > 0 && is_child(pid) {
            if begin.elapsed() > limit {
                if let Some(pid) = Pid::from_raw(pid) {
                    let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether a child runs; one that has ended is taken notice of.
fn is_child(pid: i32) -> bool {
    // SAFETY: no place for a status.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) == 0 }
}

impl Drop for Running {
    fn drop(&mut self) {
        // httpd's children drop their pools as well, some with threads still at work.
        if std::process::id() != self.owner {
            return;
        }
        let groups = GROUPS.swap(std::ptr::null_mut(), Ordering::AcqRel);
        ORDERS.store(-1, Ordering::Relaxed);
        WAITING.store(std::ptr::null_mut(), Ordering::Release);
        let is_hard = self.is_hard.load(Ordering::Relaxed);
        let order = if is_hard { END } else { OUTDATE };
        let _gone = rustix::io::write(&self.orders, &[order]);
        self.wait(if is_hard { LONGEST_END } else { LONGEST_FORK });
        if is_hard {
            let gates = self.start.teams.iter().filter_map(|team| team.gate.as_ref());
            let gates = gates.map(Gate::path);
            let sockets = self.start.sockets.iter().map(PathBuf::as_path);
            for file in gates.chain(sockets.filter(|_| self.start.rotates)) {
                let _gone = std::fs::remove_file(file);
            }
        }
        self.start.teams.clear();
        if !groups.is_null() {
            // SAFETY: made by `Box::leak` in `start`; the teams alone knew of it here.
            drop(unsafe { Box::from_raw(groups) });
        }
    }
}

unsafe extern "C" fn maintain(reason: c_int, data: *mut c_void, _status: c_int) {
    httpd::enter("the supervisor's watch", || {
        // SAFETY: what `watch` has given.
        let Some(running) = (unsafe { data.cast::<Running>().cast_const().as_ref() }) else {
            return;
        };
        match reason {
            sys::APR_OC_REASON_RESTART => running.is_hard.store(true, Ordering::Relaxed),
            sys::APR_OC_REASON_DEATH => {
                // SAFETY: the record of this very call.
                unsafe { sys::apr_proc_other_child_unregister(data) };
                running.supervisor.store(0, Ordering::Relaxed);
                if python::asked_of_mpm(sys::AP_MPMQ_MPM_STATE) == sys::AP_MPMQ_STOPPING {
                    return;
                }
                log_to_main(
                    crate::index(),
                    Level::Error,
                    "The supervisor of daemon processes has ended; starting another one.",
                );
                running.start();
            }
            _ => {}
        }
    });
}

/// How long a hard end takes at most: what processes get, and some more.
const LONGEST_END: Duration = Duration::from_secs(4);
/// How long the supervisor takes to go on by itself.
const LONGEST_FORK: Duration = Duration::from_secs(2);

/// A group as it is configured, its accounts looked up.
///
/// # Errors
/// The text for httpd's start-up message.
pub(crate) fn declare(options: DaemonOptions, server: Server) -> Result<Declared, String> {
    let is_root = rustix::process::geteuid().is_root();
    if options.chroot.is_some() && !is_root {
        return Err(CHROOT_WITHOUT_ROOT.to_owned());
    }
    let known = |name: &Option<String>, text: &str| match name {
        Some(name) => account::user(name).map(Some).ok_or_else(|| format!("{text} ({name})")),
        None => Ok(None),
    };
    let account = known(&options.user, USER_UNKNOWN)?;
    if is_root && account.as_ref().is_some_and(|account| account.uid == 0) {
        return Err(USER_IS_ROOT.to_owned());
    }
    let group = |name: &String| {
        account::group(name)
            .ok_or_else(|| format!("WSGI daemon process: no group is called '{name}'."))
    };
    let gid = options.group.as_ref().map(group).transpose()?;
    let groups = options.supplementary_groups.iter().map(group).collect::<Result<_, _>>()?;
    let socket_owner = known(&options.socket_user, SOCKET_USER_UNKNOWN)?.map(|account| account.uid);
    let script_user = known(&options.script_user, SCRIPT_USER_UNKNOWN)?;
    let script_owner = match (&script_user, &options.script_group) {
        (Some(user), _) => Some(Owner::User(user.uid)),
        (None, Some(name)) => Some(Owner::Group(
            account::group(name).ok_or_else(|| format!("{SCRIPT_GROUP_UNKNOWN} ({name})"))?,
        )),
        (None, None) => None,
    };
    Ok(Declared { options, number: 0, server, account, gid, groups, socket_owner, script_owner })
}
