//! Functions of httpd and APR.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};

use super::structs::{
    ap_conf_vector_t, ap_directive_t, ap_filter_t, ap_input_mode_t, ap_regex_t, ap_regmatch_t,
    ap_scoreboard_e, apr_array_header_t, apr_bucket, apr_bucket_alloc_t, apr_bucket_brigade,
    apr_bucket_type_t, apr_file_t, apr_finfo_t, apr_off_t, apr_os_file_t, apr_os_sock_t,
    apr_pool_t, apr_proc_t, apr_read_type_e, apr_size_t, apr_socket_t, apr_status_t, apr_table_t,
    cmd_parms, conn_rec, global_score, process_score, request_rec, server_rec, unixd_config_rec,
    worker_score,
};

/// Declares functions, and the same as text for the C compiler.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $returns:ty)?;)*) => {
        unsafe extern "C" {
            $(
                #[allow(missing_docs, reason = "the header's own")]
                pub fn $name($($argument: $type),*) $(-> $returns)?;
            )*
        }

        /// Name, arguments and result of every function, as Rust writes them.
        pub const SIGNATURES: &[(&str, &[&str], &str)] = &[$(
            (stringify!($name), &[$(stringify!($type)),*], concat!($(stringify!($returns))?)),
        )*];
    };
}

functions! {
    fn ap_getword_conf(p: *mut apr_pool_t, line: *mut *const c_char) -> *mut c_char;
    fn ap_server_root_relative(p: *mut apr_pool_t, fname: *const c_char) -> *mut c_char;
    fn ap_check_cmd_context(cmd: *mut cmd_parms, forbidden: c_uint) -> *const c_char;
    fn ap_get_server_description() -> *const c_char;
    fn ap_get_server_built() -> *const c_char;
    fn ap_show_mpm() -> *const c_char;
    fn ap_exists_config_define(name: *const c_char) -> c_int;
    fn ap_get_server_name_for_url(r: *mut request_rec) -> *const c_char;
    fn ap_get_server_port(r: *const request_rec) -> u16;
    fn ap_document_root(r: *mut request_rec) -> *const c_char;
    fn ap_context_prefix(r: *mut request_rec) -> *const c_char;
    fn ap_context_document_root(r: *mut request_rec) -> *const c_char;
    fn ap_get_server_banner() -> *const c_char;
    fn ap_psignature(prefix: *const c_char, r: *mut request_rec) -> *const c_char;
    fn ap_escape_html2(p: *mut apr_pool_t, s: *const c_char, toasc: c_int) -> *mut c_char;
    fn ap_get_useragent_host(req: *mut request_rec, r#type: c_int, str_is_ip: *mut c_int) -> *const c_char;
    fn ap_run_http_scheme(r: *const request_rec) -> *const c_char;
    fn ap_walk_config(conftree: *mut ap_directive_t, parms: *mut cmd_parms, section_vector: *mut ap_conf_vector_t) -> *const c_char;
    fn ap_register_auth_provider(pool: *mut apr_pool_t, provider_group: *const c_char, provider_name: *const c_char, provider_version: *const c_char, provider: *const c_void, r#type: c_int) -> apr_status_t;
    fn ap_hook_check_access(pf: Option<unsafe extern "C" fn(*mut request_rec) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int, r#type: c_int);
    fn ap_exists_scoreboard_image() -> c_int;
    fn ap_get_scoreboard_global() -> *mut global_score;
    fn ap_get_scoreboard_process(x: c_int) -> *mut process_score;
    fn ap_get_scoreboard_worker_from_indexes(child_num: c_int, thread_num: c_int) -> *mut worker_score;
    fn ap_add_version_component(pconf: *mut apr_pool_t, component: *const c_char);
    fn ap_run_generate_log_id(c: *const conn_rec, r: *const request_rec, id: *mut *const c_char) -> c_int;
    fn ap_pregcomp(p: *mut apr_pool_t, pattern: *const c_char, cflags: c_int) -> *mut ap_regex_t;
    fn ap_regexec(preg: *const ap_regex_t, string: *const c_char, nmatch: apr_size_t, pmatch: *mut ap_regmatch_t, eflags: c_int) -> c_int;
    fn ap_pregsub(p: *mut apr_pool_t, input: *const c_char, source: *const c_char, nmatch: apr_size_t, pmatch: *mut ap_regmatch_t) -> *mut c_char;
    fn ap_allow_options(r: *mut request_rec) -> c_int;
    fn ap_add_common_vars(r: *mut request_rec);
    fn ap_add_cgi_vars(r: *mut request_rec);
    fn ap_setup_client_block(r: *mut request_rec, read_policy: c_int) -> c_int;
    fn ap_get_brigade(filter: *mut ap_filter_t, bucket: *mut apr_bucket_brigade, mode: ap_input_mode_t, block: apr_read_type_e, readbytes: apr_off_t) -> apr_status_t;
    fn ap_get_conn_socket(c: *mut conn_rec) -> *mut apr_socket_t;
    fn ap_internal_redirect(new_uri: *const c_char, r: *mut request_rec);
    fn ap_get_client_block(r: *mut request_rec, buffer: *mut c_char, bufsiz: apr_size_t) -> c_long;
    fn ap_pass_brigade(filter: *mut ap_filter_t, bucket: *mut apr_bucket_brigade) -> apr_status_t;
    fn ap_set_content_type(r: *mut request_rec, ct: *const c_char);
    fn ap_set_content_length(r: *mut request_rec, length: apr_off_t);
    fn ap_runtime_dir_relative(p: *mut apr_pool_t, fname: *const c_char) -> *mut c_char;
    fn ap_close_listeners();
    fn ap_mpm_query(query_code: c_int, result: *mut c_int) -> apr_status_t;
    fn ap_state_query(query_code: c_int) -> c_int;
    fn ap_hook_handler(pf: Option<unsafe extern "C" fn(*mut request_rec) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_translate_name(pf: Option<unsafe extern "C" fn(*mut request_rec) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_map_to_storage(pf: Option<unsafe extern "C" fn(*mut request_rec) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_run_dirwalk_stat(finfo: *mut apr_finfo_t, r: *mut request_rec, wanted: i32) -> apr_status_t;
    fn ap_directory_walk(r: *mut request_rec) -> c_int;
    fn ap_file_walk(r: *mut request_rec) -> c_int;
    fn ap_hook_child_init(pf: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut server_rec)>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_child_stopping(pf: Option<unsafe extern "C" fn(*mut apr_pool_t, c_int)>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_pre_config(pf: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut apr_pool_t, *mut apr_pool_t) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_pre_mpm(pf: Option<unsafe extern "C" fn(*mut apr_pool_t, ap_scoreboard_e) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn ap_hook_post_config(pf: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut apr_pool_t, *mut apr_pool_t, *mut server_rec) -> c_int>, aszPre: *const *const c_char, aszSucc: *const *const c_char, nOrder: c_int);
    fn apr_proc_other_child_register(proc: *mut apr_proc_t, maintenance: Option<unsafe extern "C" fn(c_int, *mut c_void, c_int)>, data: *mut c_void, write_fd: *mut apr_file_t, p: *mut apr_pool_t);
    fn apr_proc_other_child_unregister(data: *mut c_void);
    fn apr_pstrmemdup(p: *mut apr_pool_t, s: *const c_char, n: apr_size_t) -> *mut c_char;
    fn apr_pool_cleanup_register(p: *mut apr_pool_t, data: *const c_void, plain_cleanup: Option<unsafe extern "C" fn(*mut c_void) -> apr_status_t>, child_cleanup: Option<unsafe extern "C" fn(*mut c_void) -> apr_status_t>);
    fn apr_pool_cleanup_null(data: *mut c_void) -> apr_status_t;
    fn apr_table_get(t: *const apr_table_t, key: *const c_char) -> *const c_char;
    fn apr_table_setn(t: *mut apr_table_t, key: *const c_char, val: *const c_char);
    fn apr_table_addn(t: *mut apr_table_t, key: *const c_char, val: *const c_char);
    fn apr_table_unset(t: *mut apr_table_t, key: *const c_char);
    fn apr_table_elts(t: *const apr_table_t) -> *const apr_array_header_t;
    fn apr_brigade_create(p: *mut apr_pool_t, list: *mut apr_bucket_alloc_t) -> *mut apr_bucket_brigade;
    fn apr_brigade_cleanup(data: *mut c_void) -> apr_status_t;
    fn apr_bucket_transient_create(buf: *const c_char, nbyte: apr_size_t, list: *mut apr_bucket_alloc_t) -> *mut apr_bucket;
    fn apr_bucket_flush_create(list: *mut apr_bucket_alloc_t) -> *mut apr_bucket;
    fn ap_bucket_error_create(error: c_int, buf: *const c_char, p: *mut apr_pool_t, list: *mut apr_bucket_alloc_t) -> *mut apr_bucket;
    fn apr_bucket_file_enable_mmap(b: *mut apr_bucket, enabled: c_int) -> apr_status_t;
    fn apr_bucket_eos_create(list: *mut apr_bucket_alloc_t) -> *mut apr_bucket;
    fn apr_brigade_insert_file(bb: *mut apr_bucket_brigade, f: *mut apr_file_t, start: apr_off_t, len: apr_off_t, p: *mut apr_pool_t) -> *mut apr_bucket;
    fn apr_os_file_get(thefile: *mut apr_os_file_t, file: *mut apr_file_t) -> apr_status_t;
    fn apr_os_file_put(file: *mut *mut apr_file_t, thefile: *mut c_int, flags: i32, cont: *mut apr_pool_t) -> apr_status_t;
    fn apr_os_sock_get(thesock: *mut apr_os_sock_t, sock: *mut apr_socket_t) -> apr_status_t;
    fn apr_dynamic_fn_retrieve(szName: *const c_char) -> Option<unsafe extern "C" fn()>;
}

unsafe extern "C" {
    /// `http_main.h`: the main server.
    pub static ap_server_conf: *mut server_rec;
    /// `scoreboard.h`: `ExtendedStatus`.
    pub static ap_extended_status: c_int;
    /// `unixd.h`: `User`, `Group` and their kin.
    pub static ap_unixd_config: unixd_config_rec;
    /// `apr_buckets.h`: the kind of bucket that ends a body.
    pub static apr_bucket_type_eos: apr_bucket_type_t;
    /// `util_cfgtree.h`: the configuration as it was read.
    pub static ap_conftree: *mut ap_directive_t;
}

// Variadic: always called with "%s" and one text.
unsafe extern "C" {
    /// `http_log.h`
    pub fn ap_log_error_(
        file: *const c_char,
        line: c_int,
        module_index: c_int,
        level: c_int,
        status: apr_status_t,
        s: *const server_rec,
        fmt: *const c_char,
        ...
    );
    /// `http_log.h`
    pub fn ap_log_rerror_(
        file: *const c_char,
        line: c_int,
        module_index: c_int,
        level: c_int,
        status: apr_status_t,
        r: *const request_rec,
        fmt: *const c_char,
        ...
    );
}

/// A module's own part of a configuration: what the macro
/// `ap_get_module_config` does.
///
/// # Safety
/// `vector` must be a configuration vector of httpd, and `index` the module's.
#[must_use]
pub unsafe fn module_config(vector: *const ap_conf_vector_t, index: c_int) -> *mut c_void {
    let slots = vector.cast::<*mut c_void>();
    let slot = slots.wrapping_add(usize::try_from(index).unwrap_or(0));
    // SAFETY: httpd sizes the vector for every loaded module.
    unsafe { *slot }
}

/// The same in the other direction: what `ap_set_module_config` does.
///
/// # Safety
/// As above, and the configuration must be one that is the module's to set.
pub unsafe fn set_module_config(vector: *mut ap_conf_vector_t, index: c_int, value: *mut c_void) {
    let slots = vector.cast::<*mut c_void>();
    let slot = slots.wrapping_add(usize::try_from(index).unwrap_or(0));
    // SAFETY: as above.
    unsafe { *slot = value };
}
