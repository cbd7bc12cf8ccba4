//! Structs of httpd and APR.

use std::ffi::{c_char, c_int, c_long, c_uchar, c_uint, c_ulong, c_void};

/// Declares structs, and their layout for the C compiler. `prefix` marks one
/// whose last C fields are left out.
macro_rules! structs {
    ($($(#[$meta:meta])* $kind:ident $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            #[allow(non_camel_case_types, missing_docs, reason = "names and meaning are httpd's")]
            pub struct $name { $(pub $field: $type,)* }
        )*

        /// The layout of every struct as declared here.
        pub const LAYOUTS: &[Layout] = &[$(
            Layout {
                name: stringify!($name),
                size: if is_whole(stringify!($kind)) { Some(size_of::<$name>()) } else { None },
                fields: &[$((stringify!($field), std::mem::offset_of!($name, $field))),*],
            },
        )*];
    };
}

/// What is said of one struct.
pub struct Layout {
    /// Its name in C.
    pub name: &'static str,
    /// Its size, unless it is declared as a prefix.
    pub size: Option<usize>,
    /// Name and offset of each field. One that starts with `_` has no name in
    /// C (bit-fields); the one after it proves its place.
    pub fields: &'static [(&'static str, usize)],
}

const fn is_whole(kind: &str) -> bool {
    matches!(kind.as_bytes(), b"whole")
}

/// Declares types that are only ever seen through pointers.
macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        #[allow(non_camel_case_types, missing_docs, reason = "names and meaning are httpd's")]
        pub struct $name { _private: [u8; 0] }
    )*};
}

opaque! {
    apr_pool_t apr_table_t apr_bucket_alloc_t apr_file_t apr_hash_t apr_thread_mutex_t
    ap_conf_vector_t ap_configfile_t server_addr_rec
    htaccess_result apr_thread_t ap_regex_t apr_socket_t
}

#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_status_t = c_int;
#[allow(non_camel_case_types, missing_docs, reason = "APR's; microseconds since 1970")]
pub type apr_time_t = i64;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_off_t = i64;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_size_t = usize;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_port_t = u16;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_os_sock_t = c_int;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_os_file_t = c_int;
#[allow(non_camel_case_types, missing_docs, reason = "APR's")]
pub type apr_read_type_e = c_uint;
#[allow(non_camel_case_types, missing_docs, reason = "httpd's")]
pub type ap_input_mode_t = c_uint;
#[allow(non_camel_case_types, missing_docs, reason = "httpd's")]
pub type ap_scoreboard_e = c_uint;

structs! {
    /// `http_config.h`: what a module shows to httpd.
    whole module {
        version: c_int,
        minor_version: c_int,
        module_index: c_int,
        name: *const c_char,
        dynamic_load_handle: *mut c_void,
        next: *mut module,
        magic: c_ulong,
        rewrite_args: Option<unsafe extern "C" fn(*mut process_rec)>,
        create_dir_config: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut c_char) -> *mut c_void>,
        merge_dir_config: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut c_void, *mut c_void) -> *mut c_void>,
        create_server_config: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut server_rec) -> *mut c_void>,
        merge_server_config: Option<unsafe extern "C" fn(*mut apr_pool_t, *mut c_void, *mut c_void) -> *mut c_void>,
        cmds: *const command_rec,
        register_hooks: Option<unsafe extern "C" fn(*mut apr_pool_t)>,
        flags: c_int,
    }

    /// `http_config.h`: one directive. Its function takes what `args_how` says;
    /// all of ours take raw arguments.
    whole command_rec {
        name: *const c_char,
        func: Option<unsafe extern "C" fn(*mut cmd_parms, *mut c_void, *const c_char) -> *const c_char>,
        cmd_data: *mut c_void,
        req_override: c_int,
        args_how: c_int,
        errmsg: *const c_char,
    }

    /// `http_config.h`: where a directive stands.
    whole cmd_parms {
        info: *mut c_void,
        r#override: c_int,
        override_opts: c_int,
        override_list: *mut apr_table_t,
        limited: i64,
        limited_xmethods: *mut apr_array_header_t,
        xlimited: *mut ap_method_list_t,
        config_file: *mut ap_configfile_t,
        directive: *mut ap_directive_t,
        pool: *mut apr_pool_t,
        temp_pool: *mut apr_pool_t,
        server: *mut server_rec,
        path: *mut c_char,
        cmd: *const command_rec,
        context: *mut ap_conf_vector_t,
        err_directive: *const ap_directive_t,
    }

    /// `util_cfgtree.h`: a directive as it was read.
    prefix ap_directive_t {
        directive: *const c_char,
        args: *const c_char,
        next: *mut ap_directive_t,
        first_child: *mut ap_directive_t,
    }

    /// `httpd.h`: the process.
    whole process_rec {
        pool: *mut apr_pool_t,
        pconf: *mut apr_pool_t,
        short_name: *const c_char,
        argv: *const *const c_char,
        argc: c_int,
    }

    /// `httpd.h`: levels of one log.
    whole ap_logconf {
        module_levels: *mut c_char,
        level: c_int,
    }

    /// `httpd.h`: a server, main or virtual.
    prefix server_rec {
        process: *mut process_rec,
        next: *mut server_rec,
        error_fname: *mut c_char,
        error_log: *mut apr_file_t,
        log: ap_logconf,
        module_config: *mut ap_conf_vector_t,
        lookup_defaults: *mut ap_conf_vector_t,
        defn_name: *const c_char,
        defn_line_number: c_uint,
        is_virtual: c_char,
        port: apr_port_t,
        server_scheme: *const c_char,
        server_admin: *mut c_char,
        server_hostname: *mut c_char,
        addrs: *mut server_addr_rec,
        timeout: i64,
    }

    /// `httpd.h`: a connection.
    prefix conn_rec {
        pool: *mut apr_pool_t,
        base_server: *mut server_rec,
        vhost_lookup_data: *mut c_void,
        local_addr: *mut apr_sockaddr_t,
        client_addr: *mut apr_sockaddr_t,
        client_ip: *mut c_char,
        remote_host: *mut c_char,
        remote_logname: *mut c_char,
        local_ip: *mut c_char,
        local_host: *mut c_char,
        id: c_long,
        conn_config: *mut ap_conf_vector_t,
        notes: *mut apr_table_t,
        input_filters: *mut ap_filter_t,
        output_filters: *mut ap_filter_t,
        sbh: *mut c_void,
        bucket_alloc: *mut apr_bucket_alloc_t,
        cs: *mut c_void,
        data_in_input_filters: c_int,
        data_in_output_filters: c_int,
        _clogging_input_filters_and_double_reverse: c_uint,
        aborted: c_uint,
        keepalive: c_int,
        keepalives: c_int,
        log: *const ap_logconf,
        log_id: *const c_char,
        current_thread: *mut apr_thread_t,
        master: *mut conn_rec,
    }

    /// `apr_network_io.h`: an address.
    prefix apr_sockaddr_t {
        pool: *mut apr_pool_t,
        hostname: *mut c_char,
        servname: *mut c_char,
        port: apr_port_t,
    }

    /// `httpd.h`: a request.
    prefix request_rec {
        pool: *mut apr_pool_t,
        connection: *mut conn_rec,
        server: *mut server_rec,
        next: *mut request_rec,
        prev: *mut request_rec,
        main: *mut request_rec,
        the_request: *mut c_char,
        assbackwards: c_int,
        proxyreq: c_int,
        header_only: c_int,
        proto_num: c_int,
        protocol: *mut c_char,
        hostname: *const c_char,
        request_time: apr_time_t,
        status_line: *const c_char,
        status: c_int,
        method_number: c_int,
        method: *const c_char,
        allowed: i64,
        allowed_xmethods: *mut apr_array_header_t,
        allowed_methods: *mut ap_method_list_t,
        sent_bodyct: apr_off_t,
        bytes_sent: apr_off_t,
        mtime: apr_time_t,
        range: *const c_char,
        clength: apr_off_t,
        chunked: c_int,
        read_body: c_int,
        read_chunked: c_int,
        expecting_100: c_uint,
        kept_body: *mut apr_bucket_brigade,
        body_table: *mut apr_table_t,
        remaining: apr_off_t,
        read_length: apr_off_t,
        headers_in: *mut apr_table_t,
        headers_out: *mut apr_table_t,
        err_headers_out: *mut apr_table_t,
        subprocess_env: *mut apr_table_t,
        notes: *mut apr_table_t,
        content_type: *const c_char,
        handler: *const c_char,
        content_encoding: *const c_char,
        content_languages: *mut apr_array_header_t,
        vlist_validator: *mut c_char,
        user: *mut c_char,
        ap_auth_type: *mut c_char,
        unparsed_uri: *mut c_char,
        uri: *mut c_char,
        filename: *mut c_char,
        canonical_filename: *mut c_char,
        path_info: *mut c_char,
        args: *mut c_char,
        used_path_info: c_int,
        eos_sent: c_int,
        per_dir_config: *mut ap_conf_vector_t,
        request_config: *mut ap_conf_vector_t,
        log: *const ap_logconf,
        log_id: *const c_char,
        htaccess: *const htaccess_result,
        output_filters: *mut ap_filter_t,
        input_filters: *mut ap_filter_t,
        proto_output_filters: *mut ap_filter_t,
        proto_input_filters: *mut ap_filter_t,
        no_cache: c_int,
        no_local_copy: c_int,
        invoke_mtx: *mut apr_thread_mutex_t,
        parsed_uri: apr_uri_t,
        finfo: apr_finfo_t,
        useragent_addr: *mut apr_sockaddr_t,
        useragent_ip: *mut c_char,
    }

    /// `apr_uri.h`: a parsed address.
    whole apr_uri_t {
        scheme: *mut c_char,
        hostinfo: *mut c_char,
        user: *mut c_char,
        password: *mut c_char,
        hostname: *mut c_char,
        port_str: *mut c_char,
        path: *mut c_char,
        query: *mut c_char,
        fragment: *mut c_char,
        hostent: *mut c_void,
        port: apr_port_t,
        _flags: c_uint,
    }

    /// `apr_file_info.h`: what stat says.
    whole apr_finfo_t {
        pool: *mut apr_pool_t,
        valid: i32,
        protection: i32,
        filetype: c_int,
        user: c_uint,
        group: c_uint,
        inode: u64,
        device: u64,
        nlink: i32,
        size: apr_off_t,
        csize: apr_off_t,
        atime: apr_time_t,
        mtime: apr_time_t,
        ctime: apr_time_t,
        fname: *const c_char,
        name: *const c_char,
        filehand: *mut apr_file_t,
    }

    /// `util_filter.h`: a filter.
    prefix ap_filter_t {
        frec: *mut ap_filter_rec_t,
        ctx: *mut c_void,
        next: *mut ap_filter_t,
        r: *mut request_rec,
        c: *mut conn_rec,
    }

    /// `util_filter.h`: a kind of filter.
    prefix ap_filter_rec_t {
        name: *const c_char,
        filter_func: Option<unsafe extern "C" fn(*mut ap_filter_t, *mut apr_bucket_brigade) -> apr_status_t>,
        filter_init_func: *const c_void,
        next: *mut ap_filter_rec_t,
        providers: *mut c_void,
        ftype: c_int,
    }

    /// `unixd.h`: accounts of httpd's processes.
    prefix unixd_config_rec {
        user_name: *const c_char,
        group_name: *const c_char,
        user_id: c_uint,
        group_id: c_uint,
    }

    /// `apr_thread_proc.h`: a process.
    prefix apr_proc_t {
        pid: c_int,
        r#in: *mut apr_file_t,
        out: *mut apr_file_t,
        err: *mut apr_file_t,
    }

    /// `mod_auth.h`: who users are.
    whole authn_provider {
        check_password: Option<unsafe extern "C" fn(*mut request_rec, *const c_char, *const c_char) -> c_int>,
        get_realm_hash: Option<unsafe extern "C" fn(*mut request_rec, *const c_char, *const c_char, *mut *mut c_char) -> c_int>,
    }

    /// `mod_auth.h`: what users may.
    whole authz_provider {
        check_authorization: Option<unsafe extern "C" fn(*mut request_rec, *const c_char, *const c_void) -> c_int>,
        parse_require_line: Option<unsafe extern "C" fn(*mut cmd_parms, *const c_char, *mut *const c_void) -> *const c_char>,
    }

    /// `scoreboard.h`: the whole server.
    prefix global_score {
        server_limit: c_int,
        thread_limit: c_int,
        running_generation: c_int,
        restart_time: apr_time_t,
    }

    /// `scoreboard.h`: a process.
    prefix process_score {
        pid: c_int,
        generation: c_int,
        quiescing: c_char,
    }

    /// `scoreboard.h`: a thread.
    prefix worker_score {
        tid: c_ulong,
        thread_num: c_int,
        pid: c_int,
        generation: c_int,
        status: c_uchar,
        conn_count: u16,
        conn_bytes: apr_off_t,
        access_count: c_ulong,
        bytes_served: apr_off_t,
        my_access_count: c_ulong,
        my_bytes_served: apr_off_t,
        start_time: apr_time_t,
        stop_time: apr_time_t,
        last_used: apr_time_t,
        times: [c_long; 4],
        client: [c_char; 32],
        request: [c_char; 64],
        vhost: [c_char; 32],
        protocol: [c_char; 16],
        duration: apr_time_t,
        client64: [c_char; 64],
    }

    /// `httpd.h`: methods.
    prefix ap_method_list_t {
        method_mask: i64,
    }

    /// `ap_regex.h`: where a match lies.
    whole ap_regmatch_t {
        rm_so: c_int,
        rm_eo: c_int,
    }

    /// `apr_tables.h`: an array.
    whole apr_array_header_t {
        pool: *mut apr_pool_t,
        elt_size: c_int,
        nelts: c_int,
        nalloc: c_int,
        elts: *mut c_char,
    }

    /// `apr_tables.h`: an entry of a table.
    whole apr_table_entry_t {
        key: *mut c_char,
        val: *mut c_char,
        key_checksum: u32,
    }

    /// `apr_buckets.h`: a list of buckets, linked through its head.
    whole apr_bucket_brigade {
        p: *mut apr_pool_t,
        _list_next: *mut apr_bucket,
        _list_prev: *mut apr_bucket,
        bucket_alloc: *mut apr_bucket_alloc_t,
    }

    /// `apr_buckets.h`: a piece of a body.
    whole apr_bucket {
        _link_next: *mut apr_bucket,
        _link_prev: *mut apr_bucket,
        r#type: *const apr_bucket_type_t,
        length: apr_size_t,
        start: apr_off_t,
        data: *mut c_void,
        free: Option<unsafe extern "C" fn(*mut c_void)>,
        list: *mut apr_bucket_alloc_t,
    }

    /// `apr_buckets.h`: what can be done with a kind of bucket.
    whole apr_bucket_type_t {
        name: *const c_char,
        num_func: c_int,
        is_metadata: c_int,
        destroy: Option<unsafe extern "C" fn(*mut c_void)>,
        read: Option<unsafe extern "C" fn(*mut apr_bucket, *mut *const c_char, *mut apr_size_t, c_int) -> apr_status_t>,
        setaside: *const c_void,
        split: *const c_void,
        copy: *const c_void,
    }
}

/// A byte of C text.
pub type Byte = c_uchar;

// Values of the headers' constants; the C checks compare them too.
macro_rules! constants {
    ($($name:ident: $type:ty = $value:expr;)*) => {
        $(
            #[allow(missing_docs, reason = "the header's own name and meaning")]
            pub const $name: $type = $value;
        )*
        /// Every constant with its value.
        pub const CONSTANTS: &[(&str, i64)] = &[$((stringify!($name), $value as i64)),*];
    };
}

constants! {
    MODULE_MAGIC_NUMBER_MAJOR: c_int = 20_120_211;
    MODULE_MAGIC_COOKIE: c_ulong = 0x4150_3234;
    RAW_ARGS: c_int = 0;
    OR_FILEINFO: c_int = 4;
    OR_AUTHCFG: c_int = 8;
    ACCESS_CONF: c_int = 64;
    RSRC_CONF: c_int = 128;
    GLOBAL_ONLY: c_uint = 95;
    APR_HOOK_MIDDLE: c_int = 10;
    APR_HOOK_LAST: c_int = 20;
    OK: c_int = 0;
    DECLINED: c_int = -1;
    DONE: c_int = -2;
    HTTP_FORBIDDEN: c_int = 403;
    HTTP_METHOD_NOT_ALLOWED: c_int = 405;
    HTTP_NOT_FOUND: c_int = 404;
    HTTP_LENGTH_REQUIRED: c_int = 411;
    HTTP_INTERNAL_SERVER_ERROR: c_int = 500;
    AUTH_DENIED: c_int = 0;
    AUTH_GRANTED: c_int = 1;
    AUTH_USER_FOUND: c_int = 2;
    AUTH_USER_NOT_FOUND: c_int = 3;
    AUTH_GENERAL_ERROR: c_int = 4;
    AUTHZ_DENIED: c_int = 0;
    AUTHZ_GRANTED: c_int = 1;
    AUTHZ_GENERAL_ERROR: c_int = 3;
    AUTHZ_DENIED_NO_USER: c_int = 4;
    AP_AUTH_INTERNAL_PER_CONF: c_int = 1;
    REMOTE_HOST: c_int = 0;
    APR_FOPEN_SENDFILE_ENABLED: i32 = 0x1000;
    OPT_EXECCGI: c_int = 8;
    AP_REQ_REJECT_PATH_INFO: c_int = 1;
    APR_NOFILE: c_int = 0;
    APR_REG: c_int = 1;
    APR_FINFO_MIN: c_int = 0x8170;
    APR_DIR: c_int = 2;
    APR_SUCCESS: c_int = 0;
    APR_EAGAIN: c_int = 11;
    APR_TIMEUP: c_int = 70_007;
    AP_MODE_READBYTES: ap_input_mode_t = 0;
    APR_BLOCK_READ: apr_read_type_e = 0;
    APR_NONBLOCK_READ: apr_read_type_e = 1;
    M_GET: c_int = 0;
    HTTP_BAD_REQUEST: c_int = 400;
    HTTP_REQUEST_TIME_OUT: c_int = 408;
    HTTP_BAD_GATEWAY: c_int = 502;
    HTTP_SERVICE_UNAVAILABLE: c_int = 503;
    HTTP_GATEWAY_TIME_OUT: c_int = 504;
    AP_SQ_MAIN_STATE: c_int = 0;
    AP_SQ_MS_CREATE_CONFIG: c_int = 4;
    AP_SIG_GRACEFUL: c_int = 10;
    AP_MPMQ_STOPPING: c_int = 2;
    AP_MPMQ_MPM_STATE: c_int = 13;
    AP_MPMQ_GENERATION: c_int = 15;
    APR_OC_REASON_DEATH: c_int = 0;
    APR_OC_REASON_RESTART: c_int = 2;
    AP_MPMQ_IS_THREADED: c_int = 2;
    AP_MPMQ_MAX_DAEMONS: c_int = 12;
    AP_MPMQ_MAX_THREADS: c_int = 6;
    SERVER_READY: u8 = 2;
    SERVER_BUSY_READ: u8 = 3;
    SERVER_GRACEFUL: u8 = 9;
    REQUEST_CHUNKED_DECHUNK: c_int = 2;
    REQUEST_CHUNKED_ERROR: c_int = 1;
    AP_FTYPE_PROTOCOL: c_int = 30;
    APLOG_CRIT: c_int = 2;
    APLOG_ERR: c_int = 3;
    APLOG_WARNING: c_int = 4;
    APLOG_NOTICE: c_int = 5;
    APLOG_INFO: c_int = 6;
    APLOG_DEBUG: c_int = 7;
}
