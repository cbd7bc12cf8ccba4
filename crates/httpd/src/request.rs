//! A request, for the length of one hook's call.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::log::{Level, Source, c_text, highest};
use crate::pool::Pool;
use crate::sys;
use crate::table::{Table, bytes_of};

/// A request.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: NonNull<sys::request_rec>,
    _call: PhantomData<&'r ()>,
}

/// The client has gone, or its connection is broken.
#[derive(Clone, Copy, Debug)]
pub struct ClientGone;

impl<'r> Request<'r> {
    /// The request that a hook was called for.
    ///
    /// # Safety
    /// It must be a live request for all of `'r` (S1).
    #[must_use]
    pub unsafe fn from_raw(raw: *mut sys::request_rec) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, _call: PhantomData })
    }

    /// The pointer.
    #[must_use]
    pub fn raw(self) -> *mut sys::request_rec {
        self.raw.as_ptr()
    }

    pub(crate) fn record(self) -> &'r sys::request_rec {
        // SAFETY: S1; what httpd changes in it meanwhile is read anew each time.
        unsafe { self.raw.as_ref() }
    }

    /// Its pool.
    #[must_use]
    pub fn pool(self) -> Pool {
        // SAFETY: S1, S2: a request is never without its pool.
        match unsafe { Pool::from_raw(self.record().pool) } {
            Some(pool) => pool,
            None => unreachable!("a request without a pool"),
        }
    }

    /// Its server.
    #[must_use]
    pub fn server(self) -> *mut sys::server_rec {
        self.record().server
    }

    /// Configuration of the module for its folder or location.
    #[must_use]
    pub fn directory_config<T>(self, index: c_int) -> Option<&'r T> {
        // SAFETY: S1; the module made its own slot by `Pool::keep`.
        unsafe { sys::module_config(self.record().per_dir_config, index).cast::<T>().as_ref() }
    }

    /// Configuration of the module for its server.
    #[must_use]
    pub fn server_config<T>(self, index: c_int) -> Option<&'r T> {
        // SAFETY: S1, S5; the module made its own slot by `Pool::keep`.
        unsafe {
            let server = self.record().server;
            sys::module_config((*server).module_config, index).cast::<T>().as_ref()
        }
    }

    /// What the module noted for this request.
    #[must_use]
    pub fn noted<T>(self, index: c_int) -> Option<&'r T> {
        // SAFETY: S1: the module's own slot, which `note` filled or nobody.
        unsafe { sys::module_config(self.record().request_config, index).cast::<T>().as_ref() }
    }

    /// Notes something for the module's later hooks; it must outlive the request.
    pub fn note<T>(self, index: c_int, value: &'r T) {
        let value = std::ptr::from_ref(value).cast_mut().cast();
        // SAFETY: S1: as above.
        unsafe { sys::set_module_config(self.record().request_config, index, value) };
    }

    /// Name of its handler.
    #[must_use]
    pub fn handler(self) -> Option<&'r [u8]> {
        bytes_of(self.record().handler)
    }

    /// Sets the handler.
    pub fn set_handler(self, name: &'static CStr) {
        // SAFETY: S1; the text is static.
        unsafe { (*self.raw()).handler = name.as_ptr() };
    }

    /// Path of the URL, decoded.
    #[must_use]
    pub fn uri(self) -> &'r [u8] {
        bytes_of(self.record().uri).unwrap_or_default()
    }

    /// The file that it was translated to.
    #[must_use]
    pub fn filename(self) -> &'r [u8] {
        bytes_of(self.record().filename).unwrap_or_default()
    }

    /// Sets the file that it is translated to.
    pub fn set_filename(self, path: &[u8]) {
        let path = self.pool().copy(path);
        // SAFETY: S1, S2.
        unsafe { (*self.raw()).filename = path };
    }

    /// What follows the file in the URL.
    #[must_use]
    pub fn path_info(self) -> &'r [u8] {
        bytes_of(self.record().path_info).unwrap_or_default()
    }

    /// Method, as the client sent it.
    #[must_use]
    pub fn method(self) -> &'r [u8] {
        bytes_of(self.record().method).unwrap_or_default()
    }

    /// Has the answer to any other method name those that are allowed: GET and HEAD.
    pub fn allow_get(self) {
        // SAFETY: S1: a request is never without its list of methods.
        unsafe { (*self.record().allowed_methods).method_mask |= 1 << sys::M_GET };
    }

    /// Whether only a head is wanted.
    #[must_use]
    pub fn is_head(self) -> bool {
        self.record().header_only != 0
    }

    /// Whether an output filter below the protocol's changes bodies.
    #[must_use]
    pub fn has_content_filter(self) -> bool {
        let mut next = self.record().output_filters;
        while !next.is_null() {
            // SAFETY: S1: filters of the request, each with its kind.
            let (kind, after) = unsafe { ((*(*next).frec).ftype, (*next).next) };
            if kind < sys::AP_FTYPE_PROTOCOL {
                return true;
            }
            next = after;
        }
        false
    }

    /// What stat says of the file: its kind (`APR_NOFILE`, `APR_DIR`, …) and
    /// its time of change in microseconds.
    #[must_use]
    pub fn file(self) -> (c_int, sys::apr_time_t) {
        let finfo = &self.record().finfo;
        (finfo.filetype, finfo.mtime)
    }

    /// Does what httpd does to find a request's file and the sections that hold for it,
    /// with a file that is known, and the path after it. If there is no such file,
    /// `DECLINED`, and nothing has changed.
    pub fn map_to_file(self, file: &[u8], path_info: &[u8]) -> c_int {
        let (request, before) = (self.raw(), self.record().filename);
        let path_info = self.pool().copy(path_info);
        self.set_filename(file);
        // SAFETY: S1, S2: what httpd itself does at this moment, on this thread.
        unsafe {
            let finfo = &raw mut (*request).finfo;
            let found = sys::ap_run_dirwalk_stat(finfo, request, sys::APR_FINFO_MIN);
            if found != sys::APR_SUCCESS || (*finfo).filetype != sys::APR_REG {
                (*finfo).filetype = sys::APR_NOFILE;
                (*request).filename = before;
                return sys::DECLINED;
            }
            let mut status = sys::ap_directory_walk(request);
            if status == sys::OK {
                status = sys::ap_file_walk(request);
            }
            (*request).path_info = path_info;
            status
        }
    }

    /// Whether the path after the file is accepted: `AcceptPathInfo`.
    #[must_use]
    pub fn rejects_path_info(self) -> bool {
        self.record().used_path_info == sys::AP_REQ_REJECT_PATH_INFO
    }

    /// Whether `Options ExecCGI` holds here.
    #[must_use]
    pub fn may_execute(self) -> bool {
        // SAFETY: S1.
        unsafe { sys::ap_allow_options(self.raw()) & sys::OPT_EXECCGI != 0 }
    }

    /// When httpd began to read it, in microseconds since 1970.
    #[must_use]
    pub fn begun(self) -> sys::apr_time_t {
        self.record().request_time
    }

    /// Its id in logs.
    #[must_use]
    pub fn log_id(self) -> Option<&'r [u8]> {
        bytes_of(self.record().log_id)
    }

    /// Its id in logs, made if no log has asked for it yet.
    #[must_use]
    pub fn make_log_id(self) -> Option<&'r [u8]> {
        if self.record().log_id.is_null() {
            // SAFETY: S1: httpd writes the id into the request's own field.
            unsafe {
                let raw = self.raw();
                sys::ap_run_generate_log_id((*raw).connection, raw, &raw mut (*raw).log_id);
            }
        }
        self.log_id()
    }

    /// Id of its connection in logs.
    #[must_use]
    pub fn connection_log_id(self) -> Option<&'r [u8]> {
        // SAFETY: S1: a request is never without its connection.
        bytes_of(unsafe { (*self.record().connection).log_id })
    }

    /// Address and port that the connection came in by.
    #[must_use]
    pub fn local_address(self) -> (&'r [u8], u16) {
        // SAFETY: S1: a connection is never without its local address.
        let (host, port) = unsafe {
            let connection = self.record().connection;
            ((*connection).local_ip, (*(*connection).local_addr).port)
        };
        (bytes_of(host).unwrap_or_default(), port)
    }

    /// Headers of the client.
    #[must_use]
    pub fn headers_in(self) -> Table<'r> {
        Table::new(self.record().headers_in, self.pool())
    }

    /// Headers for the client.
    #[must_use]
    pub fn headers_out(self) -> Table<'r> {
        Table::new(self.record().headers_out, self.pool())
    }

    /// Headers for the client that an error page keeps.
    #[must_use]
    pub fn error_headers_out(self) -> Table<'r> {
        Table::new(self.record().err_headers_out, self.pool())
    }

    /// Environment of the request.
    #[must_use]
    pub fn environment(self) -> Table<'r> {
        Table::new(self.record().subprocess_env, self.pool())
    }

    /// Notes of modules to each other.
    #[must_use]
    pub fn notes(self) -> Table<'r> {
        Table::new(self.record().notes, self.pool())
    }

    /// Fills the environment with the variables of CGI (RFC 3875).
    pub fn add_cgi_variables(self) {
        // SAFETY: S1.
        unsafe {
            sys::ap_add_common_vars(self.raw());
            sys::ap_add_cgi_vars(self.raw());
        }
    }

    /// Whether the variables of CGI must be httpd's own: what `CGIPassAuth`,
    /// `CGIVar` and internal redirects do to them is known to httpd alone.
    #[must_use]
    pub fn needs_httpd_variables(self) -> bool {
        let record = self.record();
        !record.prev.is_null()
            || !record.htaccess.is_null()
            || self.headers_in().get(c"Authorization").is_some()
            || self.headers_in().get(c"Proxy-Authorization").is_some()
    }

    /// The target as the client sent it: `REQUEST_URI`.
    #[must_use]
    pub fn target(self) -> &'r [u8] {
        let line = bytes_of(self.record().the_request).unwrap_or_default();
        let words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        words.into_iter().nth(1).unwrap_or_default()
    }

    /// What follows the question mark.
    #[must_use]
    pub fn query(self) -> &'r [u8] {
        bytes_of(self.record().args).unwrap_or_default()
    }

    /// Version of the protocol.
    #[must_use]
    pub fn protocol(self) -> &'r [u8] {
        bytes_of(self.record().protocol).unwrap_or_default()
    }

    /// Scheme of its URL.
    #[must_use]
    pub fn scheme(self) -> &'r [u8] {
        // SAFETY: S1.
        bytes_of(unsafe { sys::ap_run_http_scheme(self.raw()) }).unwrap_or_default()
    }

    /// Folder of the documents.
    #[must_use]
    pub fn document_root(self) -> &'r [u8] {
        // SAFETY: S1.
        bytes_of(unsafe { sys::ap_document_root(self.raw()) }).unwrap_or_default()
    }

    /// Prefix and folder of the alias that it came by.
    #[must_use]
    pub fn context(self) -> (&'r [u8], &'r [u8]) {
        // SAFETY: S1.
        let (prefix, root) = unsafe {
            (sys::ap_context_prefix(self.raw()), sys::ap_context_document_root(self.raw()))
        };
        (bytes_of(prefix).unwrap_or_default(), bytes_of(root).unwrap_or_default())
    }

    /// What httpd calls itself, as `ServerTokens` has it.
    #[must_use]
    pub fn banner(self) -> &'r [u8] {
        // SAFETY: S5: a text of httpd's own.
        bytes_of(unsafe { sys::ap_get_server_banner() }).unwrap_or_default()
    }

    /// The line under pages of httpd's own, as `ServerSignature` has it.
    #[must_use]
    pub fn signature(self) -> &'r [u8] {
        // SAFETY: S1.
        bytes_of(unsafe { sys::ap_psignature(c"".as_ptr(), self.raw()) }).unwrap_or_default()
    }

    /// `ServerAdmin`.
    #[must_use]
    pub fn server_admin(self) -> &'r [u8] {
        // SAFETY: S1, S5.
        bytes_of(unsafe { (*self.record().server).server_admin }).unwrap_or_default()
    }

    /// Name of the server for URLs, escaped as httpd does for CGI.
    #[must_use]
    pub fn escaped_server_name(self) -> &'r [u8] {
        // SAFETY: S1, S2.
        let name = unsafe { sys::ap_get_server_name_for_url(self.raw()) };
        let name = bytes_of(name).unwrap_or_default();
        if !name.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"')) {
            return name;
        }
        let text = self.pool().copy(name);
        // SAFETY: S2.
        bytes_of(unsafe { sys::ap_escape_html2(self.pool().raw(), text, 0) }).unwrap_or_default()
    }

    /// Address of the client, and port of its connection.
    #[must_use]
    pub fn client(self) -> (&'r [u8], u16) {
        let record = self.record();
        // SAFETY: S1: a connection is never without its client's address.
        let port = unsafe { (*(*record.connection).client_addr).port };
        (bytes_of(record.useragent_ip).unwrap_or_default(), port)
    }

    /// Whether the client is a program on this machine: by its connection and by what
    /// modules made of it, and no proxy has said that it speaks for somebody else.
    #[must_use]
    pub fn is_of_this_machine(self) -> bool {
        // SAFETY: S1: a connection is never without its client's address.
        let connected = bytes_of(unsafe { (*self.record().connection).client_ip });
        let is_loopback = |address: Option<&[u8]>| {
            let address = address.and_then(|address| std::str::from_utf8(address).ok());
            let address = address.and_then(|text| text.parse::<std::net::IpAddr>().ok());
            address.is_some_and(|address| address.to_canonical().is_loopback())
        };
        let speaks_for_others = [c"X-Forwarded-For", c"Forwarded", c"X-Real-IP"]
            .into_iter()
            .any(|name| self.headers_in().get(name).is_some());
        is_loopback(connected)
            && is_loopback(bytes_of(self.record().useragent_ip))
            && !speaks_for_others
    }

    /// Name of the client's host, where `HostnameLookups` found one.
    #[must_use]
    pub fn client_host(self) -> Option<&'r [u8]> {
        // SAFETY: S1.
        let host = unsafe {
            sys::ap_get_useragent_host(self.raw(), sys::REMOTE_HOST, std::ptr::null_mut())
        };
        bytes_of(host)
    }

    /// The user that httpd knows, and how it knows.
    #[must_use]
    pub fn user(self) -> (Option<&'r [u8]>, Option<&'r [u8]>) {
        let record = self.record();
        (bytes_of(record.user), bytes_of(record.ap_auth_type))
    }

    /// Sets the user.
    pub fn set_user(self, name: &[u8]) {
        let name = self.pool().copy(name);
        // SAFETY: S1, S2.
        unsafe { (*self.raw()).user = name };
    }

    /// Port of the server, as `UseCanonicalName` and its kin have it.
    #[must_use]
    pub fn server_port(self) -> u16 {
        // SAFETY: S1.
        unsafe { sys::ap_get_server_port(self.raw()) }
    }

    /// A copy of a text that lives as long as the request.
    #[must_use]
    pub fn lend(self, text: &[u8]) -> &'r [u8] {
        let copy = self.pool().copy(text);
        // SAFETY: S1, S2: so many bytes were copied.
        unsafe { std::slice::from_raw_parts(copy.cast(), text.len()) }
    }

    /// Host that the client asked for.
    #[must_use]
    pub fn host(self) -> Option<&'r [u8]> {
        bytes_of(self.record().hostname)
    }

    /// Configured name of the server.
    #[must_use]
    pub fn configured_name(self) -> &'r [u8] {
        // SAFETY: S1, S5.
        bytes_of(unsafe { (*self.record().server).server_hostname }).unwrap_or_default()
    }

    // ---- body ----

    /// Gets ready to read the body. Answers the status to give up with.
    ///
    /// # Errors
    /// 411 when it is chunked and `chunked` is off, 400 and 413 as httpd says.
    pub fn prepare_body(self, chunked: bool) -> Result<(), c_int> {
        let policy =
            if chunked { sys::REQUEST_CHUNKED_DECHUNK } else { sys::REQUEST_CHUNKED_ERROR };
        // SAFETY: S1.
        match unsafe { sys::ap_setup_client_block(self.raw(), policy) } {
            sys::OK => Ok(()),
            status => Err(status),
        }
    }

    /// Bytes of the body; negative when only its end will tell: it is chunked, or
    /// comes by HTTP/2, or a filter changes it.
    #[must_use]
    pub fn body_length(self) -> i64 {
        let record = self.record();
        let is_changed = record.input_filters != record.proto_input_filters;
        let is_told = record.read_chunked == 0 && record.proto_num < 2000 && !is_changed;
        if is_told { record.remaining } else { -1 }
    }

    /// Reads some of the body; 0 at its end.
    ///
    /// # Errors
    /// When the client's connection broke.
    pub fn read_body(self, into: &mut [u8]) -> Result<usize, ClientGone> {
        // SAFETY: S1; httpd writes at most so many bytes.
        let count = unsafe {
            sys::ap_get_client_block(self.raw(), into.as_mut_ptr().cast::<c_char>(), into.len())
        };
        usize::try_from(count).map_err(|_| ClientGone)
    }

    // ---- answer ----

    /// Sets the status, with the text after it.
    pub fn set_status(self, code: u16, line: &[u8]) {
        let line = self.pool().copy(line);
        // SAFETY: S1, S2.
        unsafe {
            (*self.raw()).status = c_int::from(code);
            (*self.raw()).status_line = line;
        }
    }

    /// Sets the type of the content, so that filters by type see it.
    pub fn set_content_type(self, value: &[u8]) {
        let value = self.pool().copy(value);
        // SAFETY: S1, S2.
        unsafe { sys::ap_set_content_type(self.raw(), value) };
    }

    /// Sets the length of the content.
    pub fn set_content_length(self, length: i64) {
        // SAFETY: S1.
        unsafe { sys::ap_set_content_length(self.raw(), length) };
    }

    /// Ends a body that broke off so that the client can tell: no last chunk,
    /// and the connection is closed.
    pub fn break_off(self) {
        // SAFETY: S1, S2: 502 in the stream makes the chunk filter leave out the
        // last chunk.
        let _gone = self.pass(|brigade| unsafe {
            let list = (*brigade).bucket_alloc;
            let pool = self.pool().raw();
            let broken = sys::ap_bucket_error_create(502, std::ptr::null(), pool, list);
            insert_last(brigade, broken);
            insert_last(brigade, sys::apr_bucket_eos_create(list));
        });
        // SAFETY: S1: AP_CONN_CLOSE.
        unsafe { (*self.record().connection).keepalive = 1 };
    }

    /// Gives the connection up: nothing more is written to it.
    pub fn abandon(self) {
        // SAFETY: S1: as httpd does with a client that has gone.
        unsafe { (*self.record().connection).aborted = 1 };
    }

    pub(crate) fn pass(
        self,
        fill: impl FnOnce(*mut sys::apr_bucket_brigade),
    ) -> Result<(), ClientGone> {
        let record = self.record();
        // SAFETY: S1.
        if unsafe { (*record.connection).aborted } != 0 {
            return Err(ClientGone);
        }
        // SAFETY: S1, S2.
        let brigade =
            unsafe { sys::apr_brigade_create(record.pool, (*record.connection).bucket_alloc) };
        fill(brigade);
        // SAFETY: S1: the first filter of the request's own chain.
        let passed = unsafe { sys::ap_pass_brigade(record.output_filters, brigade) };
        // SAFETY: S2: made above; what is left in it is not needed any more.
        unsafe { sys::apr_brigade_cleanup(brigade.cast()) };
        // SAFETY: S1.
        let aborted = unsafe { (*record.connection).aborted } != 0;
        if passed == sys::APR_SUCCESS && !aborted { Ok(()) } else { Err(ClientGone) }
    }

    // ---- log ----

    /// The highest level that its log takes from the module.
    #[must_use]
    pub fn log_level(self, index: c_int) -> c_int {
        let record = self.record();
        // SAFETY: S1: a request's own levels, else its server's.
        highest(unsafe { record.log.as_ref().unwrap_or(&(*record.server).log) }, index)
    }

    /// Logs for the request, if the level for the module lets it through.
    pub fn log(self, index: c_int, level: Level, text: &str) {
        self.log_from(index, level, text, None);
    }

    /// The same for code of the application's.
    pub fn log_from(self, index: c_int, level: Level, text: &str, source: Option<Source<'_>>) {
        if level.number() > self.log_level(index) {
            return;
        }
        let text = c_text(text);
        let (file, line) = Source::parts(source);
        // SAFETY: S1; the texts end in NUL and live for the call.
        unsafe {
            sys::ap_log_rerror_(
                file.as_ptr(),
                line,
                index,
                level.number(),
                0,
                self.raw(),
                c"%s".as_ptr(),
                text.as_ptr(),
            );
        }
    }
}

/// `APR_BRIGADE_INSERT_TAIL`: the brigade's head is a link of its own ring, seen
/// as if it were a bucket.
pub(crate) unsafe fn insert_last(
    brigade: *mut sys::apr_bucket_brigade,
    bucket: *mut sys::apr_bucket,
) {
    let offset = std::mem::offset_of!(sys::apr_bucket_brigade, _list_next);
    let head = brigade.cast::<u8>().wrapping_add(offset).cast::<sys::apr_bucket>();
    // SAFETY: by our caller a live brigade, and a bucket in no other.
    unsafe {
        let last = (*brigade)._list_prev;
        (*bucket)._link_next = head;
        (*bucket)._link_prev = last;
        (*last)._link_next = bucket;
        (*brigade)._list_prev = bucket;
    }
}
