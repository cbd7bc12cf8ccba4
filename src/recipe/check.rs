//! What the shape of a recipe cannot say: rules between its fields.

use crate::recipe::Recipe;

/// The first rule that the recipe breaks.
pub(super) fn broken_rule(recipe: &Recipe, file_stem: &str) -> Option<String> {
    let name = &recipe.name;
    if name != file_stem {
        return Some(format!("`name` is `{name}`, but the file is called `{file_stem}.toml`"));
    }
    if recipe.releases.is_empty() {
        return Some("there is no `[[release]]`".into());
    }
    for pair in recipe.releases.windows(2) {
        if pair[0].version <= pair[1].version {
            return Some(format!(
                "releases must stand newest first, but {} comes before {}",
                pair[0].version, pair[1].version
            ));
        }
    }
    for release in &recipe.releases {
        let version = &release.version;
        if release.files.is_empty() {
            return Some(format!("release {version} has no `[[release.file]]`"));
        }
        for file in &release.files {
            if !is_plain_name(&file.name) {
                return Some(format!("file name `{}` of {version} is not a plain name", file.name));
            }
            if !is_plain_name(&file.folder) {
                return Some(format!("folder `{}` of {version} is not a plain name", file.folder));
            }
            let digests = [Some(&file.sha256), file.tar_sha256.as_ref()];
            if let Some(digest) = digests.into_iter().flatten().find(|text| !is_sha256(text)) {
                return Some(format!(
                    "`{digest}` of {} is not a SHA-256: expected 64 hex digits",
                    file.name
                ));
            }
            if let Some(url) = file.urls.iter().find(|url| !is_allowed_address(url)) {
                return Some(format!("address `{url}` is neither https nor file"));
            }
        }
    }
    for patch in &recipe.patches {
        if !is_plain_name(&patch.file) {
            return Some(format!("patch name `{}` is not a plain name", patch.file));
        }
        if !is_sha256(&patch.sha256) {
            return Some(format!("`{}` of {} is not a SHA-256", patch.sha256, patch.file));
        }
    }
    for install in &recipe.installs {
        let to_inside =
            !install.to.starts_with('/') && !install.to.split('/').any(|part| part == "..");
        if !to_inside {
            return Some(format!("`to = \"{}\"` leaves the tree", install.to));
        }
        if let Some(name) = install.rename.as_ref().filter(|name| !is_plain_name(name)) {
            return Some(format!("`rename = \"{name}\"` is not a plain name"));
        }
        if install.from.is_empty() == install.template.is_none() {
            return Some(format!(
                "the rule for `{}` needs one of `from` and `template`",
                install.to
            ));
        }
    }
    None
}

/// A file name that can lead nowhere else.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Plain http is for tests on this machine alone.
fn is_allowed_address(url: &str) -> bool {
    let own_port = |rest: &str| {
        let port = rest.split('/').next().unwrap_or_default();
        !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
    };
    ["https://", "file://"].iter().any(|start| url.starts_with(start))
        || url.strip_prefix("http://127.0.0.1:").is_some_and(own_port)
}
