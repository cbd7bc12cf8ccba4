//! The keys that most environs have, by number, so that both sides of a request
//! can speak of them without their text.

/// Declares the keys.
macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// A key that most environs have.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the key's own name")]
        pub enum Key { $($name,)* }

        impl Key {
            /// Every key, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its text.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

keys! {
    // Those that only Python's side can make come first.
    WsgiVersion = "wsgi.version",
    WsgiMultithread = "wsgi.multithread",
    WsgiMultiprocess = "wsgi.multiprocess",
    WsgiRunOnce = "wsgi.run_once",
    WsgiFileWrapper = "wsgi.file_wrapper",
    WsgiInputTerminated = "wsgi.input_terminated",
    WsgiUrlScheme = "wsgi.url_scheme",
    WsgiErrors = "wsgi.errors",
    WsgiInput = "wsgi.input",
    ApacheVersion = "apache.version",
    ApacheRequest = "apache.request_rec",
    Version = "mod_wsgi.version",
    ProcessGroup = "mod_wsgi.process_group",
    ApplicationGroup = "mod_wsgi.application_group",
    QueueStart = "mod_wsgi.queue_start",
    DaemonStart = "mod_wsgi.daemon_start",
    ThreadId = "mod_wsgi.thread_id",
    RequestStart = "mod_wsgi.request_start",
    ApplicationStart = "mod_wsgi.application_start",
    // Texts from here on.
    CallableObject = "mod_wsgi.callable_object",
    RequestHandler = "mod_wsgi.request_handler",
    HandlerScript = "mod_wsgi.handler_script",
    ScriptNameOfModWsgi = "mod_wsgi.script_name",
    PathInfoOfModWsgi = "mod_wsgi.path_info",
    MountPoint = "mod_wsgi.mount_point",
    ListenerHost = "mod_wsgi.listener_host",
    ListenerPort = "mod_wsgi.listener_port",
    ServerPid = "mod_wsgi.server_pid",
    RequestId = "mod_wsgi.request_id",
    ConnectionId = "mod_wsgi.connection_id",
    RequestMethod = "REQUEST_METHOD",
    ScriptName = "SCRIPT_NAME",
    PathInfo = "PATH_INFO",
    QueryString = "QUERY_STRING",
    RequestUri = "REQUEST_URI",
    RequestScheme = "REQUEST_SCHEME",
    ContentType = "CONTENT_TYPE",
    ContentLength = "CONTENT_LENGTH",
    ServerName = "SERVER_NAME",
    ServerPort = "SERVER_PORT",
    ServerAddr = "SERVER_ADDR",
    ServerProtocol = "SERVER_PROTOCOL",
    ServerSoftware = "SERVER_SOFTWARE",
    ServerAdmin = "SERVER_ADMIN",
    RemoteAddr = "REMOTE_ADDR",
    RemotePort = "REMOTE_PORT",
    RemoteUser = "REMOTE_USER",
    AuthType = "AUTH_TYPE",
    DocumentRoot = "DOCUMENT_ROOT",
    ScriptFilename = "SCRIPT_FILENAME",
    ContextPrefix = "CONTEXT_PREFIX",
    ContextDocumentRoot = "CONTEXT_DOCUMENT_ROOT",
    HttpAccept = "HTTP_ACCEPT",
    HttpAcceptEncoding = "HTTP_ACCEPT_ENCODING",
    HttpAcceptLanguage = "HTTP_ACCEPT_LANGUAGE",
    HttpAuthorization = "HTTP_AUTHORIZATION",
    HttpCacheControl = "HTTP_CACHE_CONTROL",
    HttpConnection = "HTTP_CONNECTION",
    HttpCookie = "HTTP_COOKIE",
    HttpDnt = "HTTP_DNT",
    HttpExpect = "HTTP_EXPECT",
    HttpForwarded = "HTTP_FORWARDED",
    HttpHost = "HTTP_HOST",
    HttpIfModifiedSince = "HTTP_IF_MODIFIED_SINCE",
    HttpIfNoneMatch = "HTTP_IF_NONE_MATCH",
    HttpOrigin = "HTTP_ORIGIN",
    HttpPragma = "HTTP_PRAGMA",
    HttpRange = "HTTP_RANGE",
    HttpReferer = "HTTP_REFERER",
    HttpSecFetchDest = "HTTP_SEC_FETCH_DEST",
    HttpSecFetchMode = "HTTP_SEC_FETCH_MODE",
    HttpSecFetchSite = "HTTP_SEC_FETCH_SITE",
    HttpSecFetchUser = "HTTP_SEC_FETCH_USER",
    HttpTe = "HTTP_TE",
    HttpTransferEncoding = "HTTP_TRANSFER_ENCODING",
    HttpUpgradeInsecureRequests = "HTTP_UPGRADE_INSECURE_REQUESTS",
    HttpUserAgent = "HTTP_USER_AGENT",
    HttpXForwardedFor = "HTTP_X_FORWARDED_FOR",
    HttpXForwardedHost = "HTTP_X_FORWARDED_HOST",
    HttpXForwardedProto = "HTTP_X_FORWARDED_PROTO",
    HttpXRequestedWith = "HTTP_X_REQUESTED_WITH",
}

impl Key {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The key of that number.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The key of that text.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|key| key.text().as_bytes() == text).copied()
    }

    /// The key of that header.
    #[must_use]
    pub fn of_header(name: &[u8]) -> Option<Self> {
        let start = *STARTS.get(name.len())?;
        HEADERS[start..]
            .iter()
            .take_while(|(known, _)| known.len() == name.len())
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, key)| *key)
    }

    /// Whether only Python's side can make its value.
    #[must_use]
    pub fn is_made_by_python(self) -> bool {
        self < Self::CallableObject
    }

    /// Whether its value is a path of the file system.
    #[must_use]
    pub fn is_path(self) -> bool {
        matches!(self, Self::DocumentRoot | Self::ScriptFilename)
    }

    /// Whether its value is another one with each request, or must not be kept
    /// longer than its request because it may be a secret.
    #[must_use]
    pub fn is_of_one_request(self) -> bool {
        matches!(
            self,
            Self::RequestId
                | Self::PathInfo
                | Self::PathInfoOfModWsgi
                | Self::QueryString
                | Self::RequestUri
                | Self::ContentLength
                | Self::RemoteUser
                | Self::HttpAuthorization
                | Self::HttpCookie
        )
    }
}

/// Headers by the length of their names, of equals the usual one first.
const HEADERS: [(&[u8], Key); 31] = [
    (b"TE", Key::HttpTe),
    (b"DNT", Key::HttpDnt),
    (b"Host", Key::HttpHost),
    (b"Range", Key::HttpRange),
    (b"Accept", Key::HttpAccept),
    (b"Cookie", Key::HttpCookie),
    (b"Origin", Key::HttpOrigin),
    (b"Pragma", Key::HttpPragma),
    (b"Expect", Key::HttpExpect),
    (b"Referer", Key::HttpReferer),
    (b"Forwarded", Key::HttpForwarded),
    (b"User-Agent", Key::HttpUserAgent),
    (b"Connection", Key::HttpConnection),
    (b"Content-Type", Key::ContentType),
    (b"Cache-Control", Key::HttpCacheControl),
    (b"Authorization", Key::HttpAuthorization),
    (b"If-None-Match", Key::HttpIfNoneMatch),
    (b"Content-Length", Key::ContentLength),
    (b"Sec-Fetch-Dest", Key::HttpSecFetchDest),
    (b"Sec-Fetch-Mode", Key::HttpSecFetchMode),
    (b"Sec-Fetch-Site", Key::HttpSecFetchSite),
    (b"Sec-Fetch-User", Key::HttpSecFetchUser),
    (b"Accept-Encoding", Key::HttpAcceptEncoding),
    (b"Accept-Language", Key::HttpAcceptLanguage),
    (b"X-Forwarded-For", Key::HttpXForwardedFor),
    (b"X-Forwarded-Host", Key::HttpXForwardedHost),
    (b"X-Requested-With", Key::HttpXRequestedWith),
    (b"X-Forwarded-Proto", Key::HttpXForwardedProto),
    (b"If-Modified-Since", Key::HttpIfModifiedSince),
    (b"Transfer-Encoding", Key::HttpTransferEncoding),
    (b"Upgrade-Insecure-Requests", Key::HttpUpgradeInsecureRequests),
];

/// Where names of a length start among the headers.
const STARTS: [usize; 26] = {
    let mut starts = [HEADERS.len(); 26];
    let mut index = HEADERS.len();
    while index > 0 {
        index -= 1;
        starts[HEADERS[index].0.len()] = index;
    }
    starts
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environ::variable_of_header;

    #[test]
    fn numbers_and_texts_lead_to_the_same_key() {
        for (number, key) in (0..).zip(Key::ALL) {
            assert_eq!(Key::of_number(number), Some(*key));
            assert_eq!(Key::of_text(key.text().as_bytes()), Some(*key));
        }
        assert_eq!(Key::of_number(u16::try_from(Key::COUNT).unwrap()), None);
        assert_eq!(Key::of_text(b"HTTP_X"), None);
    }

    #[test]
    fn headers_have_the_keys_that_they_are_named_by() {
        let mut text = Vec::new();
        for (header, key) in HEADERS {
            assert!(variable_of_header(header, &mut text));
            assert_eq!(key.text().as_bytes(), text);
            assert_eq!(Key::of_header(&header.to_ascii_uppercase()), Some(key));
        }
        assert_eq!(Key::of_header(b"X"), None);
        assert_eq!(Key::of_header(b"Proxy"), None);
    }
}
