//! How the keys of a request's environ are named and cleaned: headers become
//! variables, paths lose repeated slashes, internal keys are told apart.
//!
//! Where the values come from is not decided here.

use std::borrow::Cow;

/// Puts the environ key of a request header into `into` (emptied first):
/// `HTTP_X_Y` for `X-Y`, `CONTENT_TYPE` and `CONTENT_LENGTH` for those two.
/// False when the header is never passed: names with anything but ASCII
/// letters, digits and `-`, since `X_Y` could pose as `X-Y`; and `Proxy`, which
/// clients in the application would take for `HTTP_PROXY` (reference 3.1).
pub fn variable_of_header(name: &[u8], into: &mut Vec<u8>) -> bool {
    into.clear();
    if name.is_empty() || name.eq_ignore_ascii_case(b"Proxy") {
        return false;
    }
    if !BARE_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)) {
        into.extend_from_slice(b"HTTP_");
    }
    into.extend(name.iter().map(|byte| VARIABLE_BYTES[usize::from(*byte)]));
    !into.contains(&REFUSED)
}

/// Whether a header holds a password or token, so that it is passed only with
/// `WSGIPassAuthorization On` or `CGIPassAuth On` (reference 3.1).
#[must_use]
pub fn is_credential(name: &[u8]) -> bool {
    CREDENTIAL_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// A path with each run of slashes made one, as `SCRIPT_NAME` and `PATH_INFO`
/// are shown (reference 3.1).
#[must_use]
pub fn collapse_slashes(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut single = path.to_vec();
    single.dedup_by(|next, last| *next == b'/' && *last == b'/');
    Cow::Owned(single)
}

/// `SCRIPT_NAME`: the URL path less the path info, slashes collapsed
/// (reference 5.2).
///
/// When another module has rewritten the path info so that it no longer ends
/// the URL, as much of it as still does is taken off, up to a slash: the rule
/// of httpd's `ap_find_path_info`.
#[must_use]
pub fn script_name<'a>(uri: &'a [u8], path_info: &[u8]) -> Cow<'a, [u8]> {
    let uri = collapse_slashes(uri);
    if path_info.is_empty() {
        return uri;
    }
    let length = script_length(&uri, &collapse_slashes(path_info));
    match uri {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[..length]),
        Cow::Owned(mut whole) => {
            whole.truncate(length);
            Cow::Owned(whole)
        }
    }
}

/// Whether a key carries the module's own messages to its daemons and is
/// hidden from applications (reference 3.1).
#[must_use]
pub fn is_internal(key: &[u8]) -> bool {
    key.starts_with(b"mod_wsgi.x-")
}

/// The first slash at or after the byte before the common ending.
fn script_length(uri: &[u8], path_info: &[u8]) -> usize {
    let ends = uri.iter().rev().zip(path_info.iter().rev());
    let common = ends.take_while(|(left, right)| left == right).count();
    let start = uri.len().saturating_sub(common + 1);
    uri[start..].iter().position(|byte| *byte == b'/').map_or(uri.len(), |slash| start + slash)
}

/// What becomes of each byte of a header's name.
const VARIABLE_BYTES: [u8; 256] = {
    let mut bytes = [REFUSED; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            bytes[byte as usize] = byte.to_ascii_uppercase();
        }
        byte += 1;
    }
    bytes[b'-' as usize] = b'_';
    bytes
};

/// No byte of a variable's name.
const REFUSED: u8 = 0;

/// Headers that CGI names without `HTTP_`.
const BARE_HEADERS: [&[u8]; 2] = [b"Content-Type", b"Content-Length"];

const CREDENTIAL_HEADERS: [&[u8]; 2] = [b"Authorization", b"Proxy-Authorization"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variable(name: &[u8]) -> Option<Vec<u8>> {
        let mut key = b"left over".to_vec();
        variable_of_header(name, &mut key).then_some(key)
    }

    #[test]
    fn headers_become_variables() {
        for (name, key) in [
            (&b"Host"[..], &b"HTTP_HOST"[..]),
            (b"x-forwarded-For", b"HTTP_X_FORWARDED_FOR"),
            (b"X2", b"HTTP_X2"),
            (b"content-TYPE", b"CONTENT_TYPE"),
            (b"Content-Length", b"CONTENT_LENGTH"),
            (b"Content-Encoding", b"HTTP_CONTENT_ENCODING"),
            (b"Proxy-Connection", b"HTTP_PROXY_CONNECTION"),
            (b"Authorization", b"HTTP_AUTHORIZATION"),
        ] {
            assert_eq!(variable(name).as_deref(), Some(key));
        }
    }

    #[test]
    fn deceptive_headers_are_never_passed() {
        let names = ["", "X_Y", "X.Y", "X Y", "X:Y", "Content_Length", "X\u{e9}", "Proxy", "pROXY"];
        for name in names {
            assert_eq!(variable(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn credentials_are_told_by_name() {
        assert!(is_credential(b"Authorization"));
        assert!(is_credential(b"proxy-authorization"));
        assert!(!is_credential(b"WWW-Authenticate"));
        assert!(!is_credential(b"Cookie"));
    }

    #[test]
    fn slashes_collapse() {
        for (path, single) in
            [("", ""), ("/", "/"), ("//", "/"), ("/a//b///c/", "/a/b/c/"), ("a/b", "a/b")]
        {
            assert_eq!(collapse_slashes(path.as_bytes()), single.as_bytes());
        }
        assert!(matches!(collapse_slashes(b"/a/b"), Cow::Borrowed(_)));
    }

    #[test]
    fn script_name_is_the_url_less_the_path_info() {
        for (uri, path_info, script) in [
            ("/app/x/y", "/x/y", "/app"),
            ("/app", "", "/app"),
            ("/app/", "", "/app/"),
            ("/app/", "/", "/app"),
            ("/x", "/x", ""),
            ("/", "/", ""),
            ("//app//x", "/x", "/app"),
            ("/app//x//y", "/x/y", "/app"),
            ("/app/x", "//x", "/app"),
            ("/app/x", "/other", "/app/x"),
            ("/a/b", "/x/b", "/a"),
            ("/app/xyz", "/yyz", "/app/xyz"),
            ("/b", "/a/b", ""),
            ("", "/a", ""),
        ] {
            let found = script_name(uri.as_bytes(), path_info.as_bytes());
            assert_eq!(found, script.as_bytes(), "{uri} less {path_info}");
        }
    }

    #[test]
    fn internal_keys_are_told_by_their_prefix() {
        assert!(is_internal(b"mod_wsgi.x-token"));
        assert!(!is_internal(b"mod_wsgi.version"));
        assert!(!is_internal(b"HTTP_X"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(first: Vec<u8>, second: Vec<u8>) {
            if let Some(key) = variable(&first) {
                prop_assert!(!key.contains(&b'-'));
            }
            let single = collapse_slashes(&first);
            prop_assert!(!single.windows(2).any(|pair| pair == b"//"));
            prop_assert!(single.starts_with(&script_name(&first, &second)));
        }

        #[test]
        fn script_name_and_path_info_make_the_url(
            script in "(/{1,2}[a-c]{1,3}){0,3}",
            path_info in "(/{1,2}[a-c]{1,3}){1,3}/{0,2}",
        ) {
            let uri = format!("{script}{path_info}");
            let found = script_name(uri.as_bytes(), path_info.as_bytes());
            prop_assert_eq!(found, collapse_slashes(script.as_bytes()));
        }
    }
}
