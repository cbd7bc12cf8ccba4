//! What the libraries that httpd is built with offer, as its configure would
//! find out: of those that are built beside it, by their release and headers; of
//! the machine's OpenSSL, by asking it.

use std::collections::{BTreeMap, BTreeSet};

use super::probe::{Answer, Answers};
use super::prober;
use crate::engine::component::Component;
use crate::error::Result;
use crate::plan::Tls;
use crate::recipe::Version;

/// Answers to those of `asked` that a library decides. `openssl` is the
/// component that TLS is built from, `nghttp2` the header of that library.
pub(super) fn answers(
    component: &Component<'_>,
    openssl: Option<&str>,
    nghttp2: Option<&str>,
    asked: &BTreeSet<String>,
) -> Result<Answers> {
    let mut answers = Answers::new();
    let mut say = |name: &str, is_there: bool, how: &str| {
        let value = is_there.then(|| "1".to_owned());
        answers.insert(name.to_owned(), Answer { value, how: how.to_owned() });
    };
    let tls = component.job.plan.tls;
    for name in ["HAVE_OPENSSL", "HAVE_OPENSSL_INIT_SSL", "HAVE_SSL_CTX_NEW"] {
        say(name, tls != Tls::None, "feature tls");
    }
    if tls == Tls::System {
        // Its header is asked for like all others of the machine.
        let functions = ENGINES.map(|(_, function)| function);
        let missing = prober(component).missing(functions.into(), &["ssl", "crypto"])?;
        for (name, function) in ENGINES {
            say(name, !missing.contains(function), &format!("linking {function}"));
        }
    } else {
        // Whatever the machine may have.
        let steps = &component.job.plan.steps;
        let step = steps.iter().find(|step| openssl == Some(&step.recipe.name));
        let fetched = step.map(|step| component.job.fetched(step.recipe)).transpose()?;
        let is_there = fetched.is_some_and(|fetched| major(&fetched.release.version) < 4);
        say(ENGINE_HEADER, is_there, "release of OpenSSL");
    }
    if let Some(header) = nghttp2 {
        say("HAVE_NGHTTP2", true, "feature http2");
        say("HAVE_NGHTTP2_NGHTTP2_H", true, "feature http2");
        let functions: BTreeMap<String, &String> = asked
            .iter()
            .map(|name| (name.trim_start_matches("HAVE_").to_lowercase(), name))
            .filter(|(function, _)| function.starts_with("nghttp2_"))
            .collect();
        for (function, name) in functions {
            if header.contains(&format!("{function}(")) {
                say(name, true, "nghttp2.h");
            }
        }
    }
    Ok(answers)
}

/// First number of a release. OpenSSL 4 has no engines.
fn major(version: &Version) -> u32 {
    version.as_str().split('.').next().and_then(|part| part.parse().ok()).unwrap_or_default()
}

const ENGINE_HEADER: &str = "HAVE_OPENSSL_ENGINE_H";

/// What only some builds of OpenSSL have; ours has none of it.
const ENGINES: [(&str, &str); 3] = [
    ("HAVE_ENGINE_INIT", "ENGINE_init"),
    ("HAVE_ENGINE_LOAD_BUILTIN_ENGINES", "ENGINE_load_builtin_engines"),
    ("HAVE_RAND_EGD", "RAND_egd"),
];
