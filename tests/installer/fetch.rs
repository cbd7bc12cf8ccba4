//! Fetching from an upstream that misbehaves.

use crate::sandbox::{Release, Sandbox, tiny_httpd};
use crate::upstream::{Part, Upstream, answer, whole_or_range};

/// A sandbox whose recipe names one address.
fn sandbox_with(archive: &[u8], urls: &[&str]) -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.recipe(&[Release::of("1.0", archive).at(urls)], "");
    sandbox
}

#[test]
fn a_cut_off_download_goes_on_where_it_ended() {
    let archive = tiny_httpd("1.0");
    let bytes = archive.clone();
    let upstream = Upstream::start(move |request| {
        let mut parts = whole_or_range(request, &bytes, "\"one\"");
        if request.before == 0
            && let Some(Part::Bytes(body)) = parts.last_mut()
        {
            body.truncate(200);
        }
        parts
    });
    let sandbox = sandbox_with(&archive, &[&upstream.url("/httpd-1.0.tar.gz")]);
    sandbox.run(&["fetch"]).expect(0);
    let ranges: Vec<_> = upstream.requests().iter().map(|request| request.range()).collect();
    assert_eq!(ranges, [None, Some(200)]);
}

#[test]
fn an_absent_file_gives_way_to_the_next_address_and_all_are_named() {
    let archive = tiny_httpd("1.0");
    let good = Upstream::with(archive.clone());
    let bad = Upstream::start(|request| match request.path.as_str() {
        "/gone" => answer("410 Gone", &[], b""),
        _ => answer("404 Not Found", &[], b""),
    });
    let urls = [bad.url("/absent"), bad.url("/gone"), good.url("/x")];
    let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1], &urls[2]]);
    sandbox.run(&["fetch"]).expect(0);

    let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1]]);
    let outcome = sandbox.run(&["fetch"]).expect(20);
    outcome.says(&format!("{}: answered 404", urls[0])).says(&format!("{}: answered 410", urls[1]));
}
