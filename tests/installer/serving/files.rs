//! Files that an application returns by way of `wsgi.file_wrapper`.

use super::Instance;

const APP: &str = "WSGIScriptAlias / \"SITE/apps/files.wsgi\"\nSetEnv KEPT \"SITE/kept\"\nSetEnv FILE \"SITE/file\"";

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz\n";

fn serving(text: &str, directives: &str) -> Instance {
    let instance = Instance::new(&format!("{APP}\n{directives}"));
    instance.site.write("file", text);
    instance
}

/// Each case: the body, and the length in the headers if there is to be one.
#[test]
fn files_are_sent_from_where_they_stand() {
    for directives in ["", "WSGIEnableSendfile On", "WSGIEnableSendfile Off"] {
        let instance = serving(TEXT, directives);
        for (target, body, length) in [
            ("/whole", TEXT, Some("37")),
            ("/small_blocks", TEXT, Some("37")),
            ("/after_read", &TEXT[10..], Some("27")),
            ("/after_seek", &TEXT[32..], Some("5")),
            ("/at_end", "", Some("0")),
            ("/with_length", &TEXT[..20], Some("20")),
            ("/length_after_read", &TEXT[10..14], Some("4")),
            ("/subclass", TEXT, Some("37")),
            ("/temporary", "temporary", Some("9")),
            ("/not_a_file", "in memory", None),
            ("/only_read", "one two", None),
            ("/pipe", "through a pipe", None),
            ("/inside", &TEXT.to_uppercase(), None),
            ("/after_write", &format!("before: {TEXT}"), None),
        ] {
            let reply = instance.get(target).expect(200);
            assert_eq!((reply.text().as_str(), reply.complete), (body, true), "{target}");
            assert_eq!(reply.header("content-length"), length, "{target}");
            assert_eq!(reply.header("transfer-encoding").is_none(), length.is_some(), "{target}");
        }
    }
}

/// The original sends what lies in memory behind the file.
#[test]
fn a_length_beyond_the_file_leaves_a_short_body() {
    let instance = serving(TEXT, "");
    let reply = instance.get("/length_too_large").expect(200);
    assert_eq!((reply.text().as_str(), reply.header("content-length")), (TEXT, Some("47")));
    assert!(!reply.complete);
}

#[test]
fn a_descriptor_is_put_back_to_where_it_was() {
    let instance = serving(TEXT, "");
    assert_eq!(instance.get("/descriptor_stays").text(), &TEXT[3..]);
    assert_eq!(instance.comes("kept/notes", "\n"), "closed at 3\n");
}

#[test]
fn files_are_closed_in_the_end() {
    for (target, note) in [
        ("/closes", "closed at 0\n"),
        ("/closes_memory", "closed memory\n"),
        ("/close_fails", "close fails\n"),
    ] {
        let instance = serving(TEXT, "");
        assert!(instance.get(target).expect(200).complete);
        assert!(instance.comes("kept/notes", "\n").starts_with(note));
        assert!(!instance.log().contains("WSGI0174"), "{}", instance.log());
    }
}

#[test]
fn large_and_empty_files_arrive_whole() {
    for text in
        [String::new(), "x\n".to_owned(), (0..400_000).map(|n| format!("{n:07}\n")).collect()]
    {
        for directives in ["", "WSGIEnableSendfile On", "WSGIEnableSendfile Off"] {
            let instance = serving(&text, directives);
            for target in ["/whole", "/inside"] {
                let reply = instance.get(target).expect(200);
                assert!(reply.complete, "{target}");
                assert!(
                    reply.text()
                        == if target == "/whole" { text.clone() } else { text.to_uppercase() },
                    "{target} {}",
                    text.len()
                );
            }
        }
    }
}

#[test]
fn head_of_a_file_tells_its_length() {
    let instance = serving(TEXT, "");
    let reply = instance.send("HEAD", "/whole", &[], b"").expect(200);
    assert_eq!((reply.header("content-length"), reply.text().as_str()), (Some("37"), ""));
}

#[test]
fn a_file_that_reads_text_is_an_error() {
    let instance = serving(TEXT, "");
    instance.get("/text_mode").expect(500);
    instance.logs("TypeError: file wrapper read() must return bytes, not str");
}

#[test]
fn the_wrapper_is_a_class_of_its_own() {
    let instance = Instance::serving("ask", "");
    let wrapper = "environ['wsgi.file_wrapper']";
    let io = "__import__('io').BytesIO(b'abcde')";
    for (code, answer) in [
        (format!("{wrapper} is mod_wsgi.FileWrapper"), "True"),
        (format!("{wrapper}.__module__, {wrapper}.__name__"), "('mod_wsgi', 'FileWrapper')"),
        (format!("{wrapper}({io}).blksize"), "8192"),
        (format!("{wrapper}({io}, 2).blksize"), "2"),
        (format!("{wrapper}({io}, blksize=3).blksize"), "3"),
        (format!("{wrapper}(filelike={io}).filelike.read()"), "b'abcde'"),
        (format!("list({wrapper}({io}, 2))"), "[b'ab', b'cd', b'e']"),
        (format!("list({wrapper}({io}))"), "[b'abcde']"),
        (format!("{wrapper}({io}, -1)"), "ValueError: blksize must not be negative"),
        (
            format!("list({wrapper}(__import__('io').StringIO('x')))"),
            "TypeError: file wrapper read() must return bytes, not str",
        ),
        (format!("[({wrapper}(file).close(), file.closed) for file in [{io}]]"), "[(None, True)]"),
        (
            format!("[wrapper.close() or list(wrapper) for wrapper in [{wrapper}({io})]]"),
            "ValueError: I/O operation on closed file",
        ),
    ] {
        assert_eq!(instance.ask(&code), answer, "{code}");
    }
}
