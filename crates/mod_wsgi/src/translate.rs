//! From a URL to the script of an alias.

use std::ffi::CStr;

use httpd::{Request, sys};

use crate::config::{Script, ServerConfig};

/// Translates the request if an alias matches its URL.
pub(crate) fn translate(request: Request<'_>) -> std::ffi::c_int {
    let Some(config) = request.server_config::<ServerConfig>(crate::index()) else {
        return sys::DECLINED;
    };
    let uri = request.uri();
    if !uri.starts_with(b"/") {
        return sys::DECLINED;
    }
    for alias in &config.aliases {
        let Some(file) = file_of(request, alias, uri) else { continue };
        request.set_filename(&file);
        request.set_handler(HANDLER);
        request.note(crate::index(), alias);
        request.notes().set_static(c"alias-forced-type", HANDLER);
        return sys::OK;
    }
    sys::DECLINED
}

/// Tells the script of an alias from the path after it. httpd would look at each folder
/// on the way to find out where the file ends.
pub(crate) fn map_to_storage(request: Request<'_>) -> std::ffi::c_int {
    let Some(alias) = alias_of(request).filter(|alias| alias.regex.is_none()) else {
        return sys::DECLINED;
    };
    let has = |path: &[u8], odd: &[u8; 2]| path.windows(2).any(|two| two == odd);
    match request.filename().strip_prefix(alias.path.as_bytes()) {
        // httpd has its own way with odd paths.
        Some(path) if path.starts_with(b"/") && !has(path, b"//") && !has(path, b"/.") => {
            request.map_to_file(alias.path.as_bytes(), path)
        }
        _ => sys::DECLINED,
    }
}

/// The file that an alias maps a URL to, if it matches.
fn file_of(request: Request<'_>, alias: &Script, uri: &[u8]) -> Option<Vec<u8>> {
    if let Some(regex) = alias.regex {
        let (file, end) = regex.replace(request.pool(), uri, &alias.path)?;
        return Some([file, &uri[end..]].concat());
    }
    let length = wsgi::alias::match_prefix(alias.name.as_bytes(), uri)?;
    let file = alias.path.as_bytes();
    // A slash that the alias ends in belongs to the file's path only if that
    // ends in one as well.
    let is_cut = uri[..length].ends_with(b"/") && !file.ends_with(b"/");
    Some([file, &uri[length - usize::from(is_cut)..]].concat())
}

/// The alias that a request came in by.
pub(crate) fn alias_of<'r>(request: Request<'r>) -> Option<&'r Script> {
    request.noted(crate::index())
}

/// Name of the handler for scripts.
pub(crate) const HANDLER: &CStr = c"wsgi-script";
