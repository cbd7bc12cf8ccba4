//! Pages that are made from records: a stale one fails here, and is written anew
//! with `MOD_WSGI_WRITE_DOCS` set.

use std::path::Path;

#[test]
fn the_page_of_directives_is_that_of_their_records() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directives.md");
    let page = wsgi::directive::page();
    if std::env::var_os("MOD_WSGI_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == page, "docs/directives.md is stale: run `just docs`");
}
