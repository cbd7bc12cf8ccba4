//! Pages that are made from records: a stale one fails here, and is written anew
//! with `MOD_WSGI_WRITE_DOCS` set.

use std::path::Path;

#[test]
fn the_page_of_directives_is_that_of_their_records() {
    compare("docs/directives.md", &wsgi::directive::page());
}

#[test]
fn the_page_of_options_is_that_of_their_records() {
    compare("docs/options.md", &express::page());
}

fn compare(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("MOD_WSGI_WRITE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "{name} is stale: run `just docs`");
}
