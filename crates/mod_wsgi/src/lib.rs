//! `mod_wsgi.so`: the module as httpd sees it. It loads without a libpython;
//! the Python side is a library of its own, loaded where Python is to run.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a raw record to call with it is one thought; SAFETY.md has the promises"
)]

mod access;
mod config;
mod daemon;
mod directives;
mod dispatch;
mod environ;
mod exchange;
mod handler;
mod interpreter;
mod names;
mod python;
mod question;
mod signals;
mod status;
mod translate;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use config::{DirectoryConfig, ServerConfig};
use httpd::{Pool, enter, sys};

/// The module's record, by which httpd knows it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the name that LoadModule is given")]
pub static mut wsgi_module: sys::module = sys::module {
    version: sys::MODULE_MAGIC_NUMBER_MAJOR,
    minor_version: 0,
    module_index: -1,
    name: c"mod_wsgi.c".as_ptr(),
    dynamic_load_handle: null_mut(),
    next: null_mut(),
    magic: sys::MODULE_MAGIC_COOKIE,
    rewrite_args: None,
    create_dir_config: Some(create_dir_config),
    merge_dir_config: Some(merge_dir_config),
    create_server_config: Some(create_server_config),
    merge_server_config: Some(merge_server_config),
    cmds: null(),
    register_hooks: Some(register_hooks),
    flags: 0,
};

/// The module's number, given by httpd when it loads it.
pub(crate) fn index() -> c_int {
    let record = &raw const wsgi_module;
    // SAFETY: S4: written once, before any of our code runs.
    unsafe { (*record).module_index }
}

/// What the server says it is, and the interpreter that the module is for.
const BANNER: &CStr = c"mod_wsgi/6.1.1";

/// httpd reads the table of directives when it adds the module, before any
/// hook: so it is made when the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static FILL_IN: extern "C" fn() = {
    extern "C" fn fill_in() {
        let record = &raw mut wsgi_module;
        // SAFETY: S4: the loader runs this before anybody knows the record.
        unsafe { (*record).cmds = httpd::Command::table(directives::all()) };
    }
    fill_in
};

unsafe extern "C" fn create_dir_config(
    pool: *mut sys::apr_pool_t,
    _folder: *mut c_char,
) -> *mut c_void {
    keep(pool, DirectoryConfig::default)
}

unsafe extern "C" fn create_server_config(
    pool: *mut sys::apr_pool_t,
    _server: *mut sys::server_rec,
) -> *mut c_void {
    keep(pool, ServerConfig::default)
}

unsafe extern "C" fn merge_dir_config(
    pool: *mut sys::apr_pool_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_void {
    keep(pool, || {
        // SAFETY: S4: both made by `create_dir_config` or here.
        let (outer, inner) =
            unsafe { (&*outer.cast::<DirectoryConfig>(), &*inner.cast::<DirectoryConfig>()) };
        outer.with(inner)
    })
}

unsafe extern "C" fn merge_server_config(
    pool: *mut sys::apr_pool_t,
    main: *mut c_void,
    host: *mut c_void,
) -> *mut c_void {
    keep(pool, || {
        // SAFETY: S4: both made by `create_server_config` or here.
        let (main, host) =
            unsafe { (&*main.cast::<ServerConfig>(), &*host.cast::<ServerConfig>()) };
        main.with(host)
    })
}

/// Makes a configuration that lives as long as its pool.
fn keep<T>(pool: *mut sys::apr_pool_t, make: impl FnOnce() -> T) -> *mut c_void {
    enter("a configuration", || {
        // SAFETY: S2: httpd's own pool.
        match unsafe { Pool::from_raw(pool) } {
            Some(pool) => pool.keep(make()).cast::<c_void>(),
            None => null_mut(),
        }
    })
}

unsafe extern "C" fn register_hooks(pool: *mut sys::apr_pool_t) {
    // SAFETY: S2: the pool of the configuration.
    if let Some(pool) = unsafe { Pool::from_raw(pool) } {
        access::register(pool);
    }
    // Lists of module names, ended by a null.
    let after = [c"mod_alias.c".as_ptr(), null()];
    let before = [c"mod_userdir.c".as_ptr(), c"mod_vhost_alias.c".as_ptr(), null()];
    // SAFETY: S4: httpd keeps what it needs of the lists: the names, which are
    // static, and reads the lists when it sorts the hooks, which is why they
    // must not go.
    unsafe {
        let after = Box::leak(Box::new(after)).as_ptr();
        let before = Box::leak(Box::new(before)).as_ptr();
        sys::ap_hook_translate_name(Some(translate_name), after, before, sys::APR_HOOK_MIDDLE);
        sys::ap_hook_map_to_storage(Some(map_to_storage), null(), null(), sys::APR_HOOK_MIDDLE);
        sys::ap_hook_check_access(
            Some(check_access),
            null(),
            null(),
            sys::APR_HOOK_MIDDLE,
            sys::AP_AUTH_INTERNAL_PER_CONF,
        );
        sys::ap_hook_handler(Some(handle), null(), null(), sys::APR_HOOK_MIDDLE);
        sys::ap_hook_pre_config(Some(pre_config), null(), null(), sys::APR_HOOK_MIDDLE);
        sys::ap_hook_post_config(Some(post_config), null(), null(), sys::APR_HOOK_MIDDLE);
        sys::ap_hook_pre_mpm(Some(pre_mpm), null(), null(), sys::APR_HOOK_LAST);
        sys::ap_hook_child_init(Some(child_init), null(), null(), sys::APR_HOOK_MIDDLE);
        sys::ap_hook_child_stopping(Some(child_stopping), null(), null(), sys::APR_HOOK_MIDDLE);
    }
}

unsafe extern "C" fn translate_name(request: *mut sys::request_rec) -> c_int {
    enter("translate_name", || {
        // SAFETY: S1: the hook's own request.
        let request = unsafe { httpd::Request::from_raw(request) };
        request.map_or(sys::DECLINED, translate::translate)
    })
}

unsafe extern "C" fn map_to_storage(request: *mut sys::request_rec) -> c_int {
    enter("map_to_storage", || {
        // SAFETY: S1: the hook's own request.
        let request = unsafe { httpd::Request::from_raw(request) };
        request.map_or(sys::DECLINED, translate::map_to_storage)
    })
}

unsafe extern "C" fn check_access(request: *mut sys::request_rec) -> c_int {
    enter("check_access", || {
        // SAFETY: S1: the hook's own request.
        let request = unsafe { httpd::Request::from_raw(request) };
        request.map_or(sys::DECLINED, access::check_access)
    })
}

pub(crate) unsafe extern "C" fn check_password(
    request: *mut sys::request_rec,
    user: *const c_char,
    password: *const c_char,
) -> c_int {
    enter_authentication("check_password", || {
        // SAFETY: S1: the provider's own request.
        let request = unsafe { httpd::Request::from_raw(request) }?;
        // SAFETY: S1: texts of the request.
        let (user, password) = unsafe { (httpd::text(user)?, httpd::text(password)?) };
        Some(access::check_password(request, user, password))
    })
}

pub(crate) unsafe extern "C" fn realm_hash(
    request: *mut sys::request_rec,
    user: *const c_char,
    realm: *const c_char,
    hash: *mut *mut c_char,
) -> c_int {
    enter_authentication("get_realm_hash", || {
        // SAFETY: S1: the provider's own request.
        let request = unsafe { httpd::Request::from_raw(request) }?;
        // SAFETY: S1: texts of the request.
        let (user, realm) = unsafe { (httpd::text(user)?, httpd::text(realm)?) };
        match access::realm_hash(request, user, realm) {
            Ok(found) => {
                // SAFETY: the place that httpd gives for it; S2.
                unsafe { *hash = request.pool().copy(&found) };
                Some(sys::AUTH_USER_FOUND)
            }
            Err(status) => Some(status),
        }
    })
}

pub(crate) unsafe extern "C" fn check_group(
    request: *mut sys::request_rec,
    line: *const c_char,
    _parsed: *const c_void,
) -> c_int {
    let mut answer = sys::AUTHZ_GENERAL_ERROR;
    enter("check_authorization", || {
        // SAFETY: S1: the provider's own request.
        let (request, line) = unsafe { (httpd::Request::from_raw(request), httpd::text(line)) };
        if let (Some(request), Some(line)) = (request, line) {
            answer = access::check_group(request, &httpd::words(request.pool(), line));
        }
    });
    answer
}

/// Enters from an authentication provider, whose own word for failure it is.
fn enter_authentication(what: &str, body: impl FnOnce() -> Option<c_int>) -> c_int {
    let mut answer = sys::AUTH_GENERAL_ERROR;
    enter(what, || answer = body().unwrap_or(sys::AUTH_GENERAL_ERROR));
    answer
}

unsafe extern "C" fn handle(request: *mut sys::request_rec) -> c_int {
    enter("the handler", || {
        // SAFETY: S1: the hook's own request.
        let request = unsafe { httpd::Request::from_raw(request) };
        request.map_or(sys::DECLINED, handler::handle)
    })
}

unsafe extern "C" fn pre_config(
    _pool: *mut sys::apr_pool_t,
    _log: *mut sys::apr_pool_t,
    _temporary: *mut sys::apr_pool_t,
) -> c_int {
    enter("pre_config", || {
        directives::forget();
        sys::OK
    })
}

unsafe extern "C" fn post_config(
    pool: *mut sys::apr_pool_t,
    _log: *mut sys::apr_pool_t,
    _temporary: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    enter("post_config", || {
        // SAFETY: S2: the configuration's pool, and static text.
        unsafe {
            sys::ap_add_version_component(pool, BANNER.as_ptr());
            sys::ap_add_version_component(pool, python::BANNER.as_ptr());
        }
        RULES_VARIABLES.store(httpd::is_configured(c"CGIVar"), Ordering::Relaxed);
        // SAFETY: S4: httpd's own state; the first pass is a rehearsal.
        if unsafe { sys::ap_state_query(sys::AP_SQ_MAIN_STATE) } != sys::AP_SQ_MS_CREATE_CONFIG {
            return sys::OK;
        }
        // SAFETY: S5: the main server.
        let server = unsafe { httpd::Server::from_raw(server) };
        if let Some(config) = server.config::<ServerConfig>(index()) {
            python::warn(&config.global);
            // SAFETY: S2: the configuration's pool.
            if let Some(pool) = unsafe { Pool::from_raw(pool) } {
                daemon::start(server, &config.global, pool);
            }
        }
        sys::OK
    })
}

unsafe extern "C" fn pre_mpm(
    _process_pool: *mut sys::apr_pool_t,
    _kind: sys::ap_scoreboard_e,
) -> c_int {
    enter("pre_mpm", || {
        daemon::start_waiting();
        sys::OK
    })
}

/// Whether `CGIVar` stands somewhere: the variables of CGI are httpd's own then.
static RULES_VARIABLES: AtomicBool = AtomicBool::new(false);

pub(crate) fn rules_variables() -> bool {
    RULES_VARIABLES.load(Ordering::Relaxed)
}

unsafe extern "C" fn child_stopping(_: *mut sys::apr_pool_t, is_graceful: c_int) {
    enter("child_stopping", || {
        if is_graceful == 0 {
            daemon::cut_off();
        }
    });
}

unsafe extern "C" fn child_init(pool: *mut sys::apr_pool_t, server: *mut sys::server_rec) {
    enter("child_init", || {
        // SAFETY: S2, S5: the child's pool and the main server.
        let (pool, server) = unsafe { (Pool::from_raw(pool), httpd::Server::from_raw(server)) };
        daemon::enter_child();
        if let Some(pool) = pool {
            python::enter_child(server, pool);
        }
    });
}
