//! Whether a URL lies under the prefix of a `WSGIScriptAlias`.
//!
//! Regular expressions and the mapping to a file are httpd's and the module's.

/// The length of the part of `url` that `alias` covers, or nothing when the URL
/// lies elsewhere. A slash in the alias matches any run of slashes, and the
/// match ends at a path boundary: `/app` covers `/app` and `/app/x`, not
/// `/apple` (reference 5.1, the rule of `mod_alias`).
///
/// An alias that ends in a slash takes that slash along. An empty alias covers
/// nothing.
#[must_use]
pub fn match_prefix(alias: &[u8], url: &[u8]) -> Option<usize> {
    let mut wanted = alias;
    let mut rest = url;
    while let Some((&byte, after)) = wanted.split_first() {
        let found = rest.strip_prefix(&[byte])?;
        let run = byte == b'/';
        wanted = if run { without_slashes(after) } else { after };
        rest = if run { without_slashes(found) } else { found };
    }
    let boundary = alias.ends_with(b"/") || rest.is_empty() || rest.starts_with(b"/");
    (boundary && !alias.is_empty()).then(|| url.len() - rest.len())
}

fn without_slashes(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    &path[slashes..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_alias_covers_its_path_and_what_lies_below() {
        for (alias, url, length) in [
            ("/app", "/app", Some(4)),
            ("/app", "/app/x", Some(4)),
            ("/app", "//app/x", Some(5)),
            ("/app", "/app//x", Some(4)),
            ("/a/b", "/a///b/c", Some(6)),
            ("//a//b", "/a/b", Some(4)),
            ("/app/", "/app/x", Some(5)),
            ("/app/", "/app//x", Some(6)),
            ("/", "/", Some(1)),
            ("/", "//x", Some(2)),
            ("/app", "/apple", None),
            ("/app", "/ap", None),
            ("/app", "/App", None),
            ("/app", "/x/app", None),
            ("/app/", "/app", None),
            ("/", "", None),
            ("/", "*", None),
            ("", "/x", None),
            ("", "", None),
        ] {
            let found = match_prefix(alias.as_bytes(), url.as_bytes());
            assert_eq!(found, length, "{alias} on {url}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_match_fits_in_the_url(alias: Vec<u8>, url: Vec<u8>) {
            if let Some(length) = match_prefix(&alias, &url) {
                prop_assert!(length <= url.len());
            }
        }

        #[test]
        fn an_alias_covers_whatever_is_put_below_it(
            alias in "(/{1,3}[a-c.]{1,3}){1,3}",
            below in "(/[a-c/]{0,6})?",
        ) {
            let url = format!("{alias}{below}");
            prop_assert_eq!(match_prefix(alias.as_bytes(), url.as_bytes()), Some(alias.len()));
        }
    }
}
