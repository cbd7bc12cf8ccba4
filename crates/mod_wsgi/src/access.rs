//! Who may see a request: `WSGIAccessScript`, `WSGIAuthUserScript` behind the
//! authentication provider `wsgi`, `WSGIAuthGroupScript` behind `Require
//! wsgi-group`. The scripts run in httpd's own processes (reference 5.6).

use std::ffi::c_int;

use door::{Answer, Answers};
use httpd::{Pool, Request, sys};

use crate::config::{DirectoryConfig, Script};
use crate::question::{Asked, log};

/// Registers the providers.
pub(crate) fn register(pool: Pool) {
    static USERS: sys::authn_provider = sys::authn_provider {
        check_password: Some(crate::check_password),
        get_realm_hash: Some(crate::realm_hash),
    };
    static GROUPS: sys::authz_provider = sys::authz_provider {
        check_authorization: Some(crate::check_group),
        parse_require_line: None,
    };
    pool.register_provider(c"authn", c"wsgi", &raw const USERS);
    pool.register_provider(c"authz", c"wsgi-group", &raw const GROUPS);
}

/// A script of the folder, ready to be asked; none if it has none.
fn asked<'r>(
    request: Request<'r>,
    script: fn(&DirectoryConfig) -> &Option<Script>,
) -> Option<Asked<'r>> {
    let config: &DirectoryConfig = request.directory_config(crate::index())?;
    Some(Asked::about_access(request, script(config).as_ref()?, config))
}

/// `allow_access(environ, host)`.
pub(crate) fn check_access(request: Request<'_>) -> c_int {
    let Some(asked) = asked(request, |config| &config.access_script) else {
        return sys::DECLINED;
    };
    let host = request.client_host().unwrap_or(request.client().0);
    let answer = asked.ask("allow_access", &[host], Answers::Flag, |_| {});
    match answer {
        Answer::Yes => return sys::OK,
        Answer::Nothing => return sys::DECLINED,
        Answer::Other => asked.log(&format!(
            "WSGI0055: Result returned from 'allow_access' in '{}' must be a boolean or None.",
            asked.path()
        )),
        Answer::NoFunction => asked.log(&format!(
            "WSGI0056: Target WSGI host access script '{}' does not provide 'allow_access' callable.",
            asked.path()
        )),
        _ => {}
    }
    let file = String::from_utf8_lossy(request.filename());
    asked.log(&format!("WSGI0057: Client denied by server configuration: '{file}'."));
    sys::HTTP_FORBIDDEN
}

/// `check_password(environ, user, password)`.
pub(crate) fn check_password(request: Request<'_>, user: &[u8], password: &[u8]) -> c_int {
    let Some(asked) = asked(request, |config| &config.user_script) else {
        log(request, "WSGI0041: Location of WSGI user authentication script not provided.");
        return sys::AUTH_GENERAL_ERROR;
    };
    let mut name = Vec::new();
    let answer = asked.ask("check_password", &[user, password], Answers::FlagOrText, |text| {
        name = text.to_vec();
    });
    match answer {
        Answer::Yes => return sys::AUTH_GRANTED,
        Answer::No => return sys::AUTH_DENIED,
        Answer::Nothing => return sys::AUTH_USER_NOT_FOUND,
        Answer::Texts if !name.is_empty() => {
            request.set_user(&name);
            return sys::AUTH_GRANTED;
        }
        Answer::Texts => asked.log("WSGI0176: Basic auth provider returned empty user name string."),
        Answer::Other => asked.log(
            "WSGI0177: Basic auth provider must return True, False, None or user name as string.",
        ),
        Answer::NoFunction => asked.log(&format!(
            "WSGI0043: Target WSGI user authentication script '{}' does not provide 'Basic' auth provider.",
            asked.path()
        )),
        _ => {}
    }
    sys::AUTH_GENERAL_ERROR
}

/// `get_realm_hash(environ, user, realm)`: the hash, if the user is known.
///
/// # Errors
/// The status that says why there is none.
pub(crate) fn realm_hash(
    request: Request<'_>,
    user: &[u8],
    realm: &[u8],
) -> Result<Vec<u8>, c_int> {
    let Some(asked) = asked(request, |config| &config.user_script) else {
        log(request, "WSGI0044: Location of WSGI user authentication script not provided.");
        return Err(sys::AUTH_GENERAL_ERROR);
    };
    let mut hash = Vec::new();
    let answer = asked.ask("get_realm_hash", &[user, realm], Answers::Bytes, |text| {
        hash = text.to_vec();
    });
    match answer {
        Answer::Texts if !hash.is_empty() => return Ok(hash),
        Answer::Nothing => return Err(sys::AUTH_USER_NOT_FOUND),
        Answer::Texts => asked.log("WSGI0178: Digest auth provider returned empty realm hash."),
        Answer::Other => {
            asked.log("WSGI0179: Digest auth provider must return None or string object.");
        }
        Answer::NotLatin1 => asked.log("TypeError: Digest auth provider must return None or string object, value containing non 'latin-1' characters found"),
        Answer::NoFunction => asked.log(&format!(
            "WSGI0046: Target WSGI user authentication script '{}' does not provide 'Digest' auth provider.",
            asked.path()
        )),
        _ => {}
    }
    Err(sys::AUTH_GENERAL_ERROR)
}

/// `groups_for_user(environ, user)`, compared with the names after `Require
/// wsgi-group`.
pub(crate) fn check_group(request: Request<'_>, wanted: &[String]) -> c_int {
    let (Some(user), _) = request.user() else { return sys::AUTHZ_DENIED_NO_USER };
    let Some(asked) = asked(request, |config| &config.group_script) else {
        log(request, "WSGI0058: Location of WSGI group authorization script not provided.");
        return sys::AUTHZ_DENIED;
    };
    let (mut any, mut fits) = (false, false);
    let answer = asked.ask("groups_for_user", &[user], Answers::List, |group| {
        any = true;
        fits |= wanted.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(group));
    });
    let path = asked.path();
    let (user, uri) = (String::from_utf8_lossy(user), String::from_utf8_lossy(request.uri()));
    let failed =
        format!("Authorization of user '{user}' to access '{uri}' failed. User is not a member of");
    match answer {
        Answer::Texts if fits => return sys::AUTHZ_GRANTED,
        Answer::Texts if any => asked.log(&format!("WSGI0060: {failed} designated groups.")),
        Answer::Texts => asked.log(&format!("WSGI0059: {failed} any groups.")),
        Answer::NotLatin1 => asked.log(&format!(
            "WSGI0049: Item returned from 'groups_for_user' in '{path}' is a string containing characters that cannot be encoded as latin-1; expected a byte string."
        )),
        Answer::Other => asked.log(&format!(
            "WSGI0050: Item returned from 'groups_for_user' in '{path}' is not a byte string."
        )),
        Answer::NotIterable => asked.log(&format!(
            "WSGI0051: Result returned from 'groups_for_user' in '{path}' is not iterable; expected an iterable sequence of byte strings."
        )),
        Answer::NoFunction => asked.log(&format!(
            "WSGI0052: Target WSGI group authentication script '{path}' does not provide 'groups_for_user' callable."
        )),
        _ => {}
    }
    sys::AUTHZ_DENIED
}
