//! Archives that are not what they should be, patches that do not fit, and
//! recipes that no run may begin with. Every archive here is the pinned one:
//! digests protect nobody from an upstream that signs and publishes it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bzip2::write::BzEncoder;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use sha2::{Digest as _, Sha256};

use crate::sandbox::{CONFIGURE, Outcome, Sandbox, gzip, sha256, tiny_httpd, tiny_httpd_with};

// ---- names and places ----

#[test]
fn a_path_that_is_not_plain_is_refused() {
    let not_plain = "its path is not plain";
    let absolute = "its path is absolute";
    let foreign = "its path is one of another system";
    for (name, why) in [
        ("../x", not_plain),
        ("../../outside/x", not_plain),
        ("a/../../x", not_plain),
        ("httpd-1.0/../x", not_plain),
        ("httpd-1.0/a/../../../outside/x", not_plain),
        ("httpd-1.0/a/..", not_plain),
        ("httpd-1.0//x", not_plain),
        ("httpd-1.0/./x", not_plain),
        ("././httpd-1.0/x", not_plain),
        ("..\\x", foreign),
        ("httpd-1.0/..\\..\\x", foreign),
        ("C:\\x", foreign),
        ("C:/x", foreign),
        ("\\\\host\\share\\x", foreign),
        ("/x", absolute),
        ("//x", absolute),
        (".//x", absolute),
    ] {
        let outcome = refused(&Tar::tiny().file(name, "planted"));
        outcome.says(why).says(&format!("entry: {}", name.escape_default()));
    }
}

#[test]
fn an_absolute_path_is_not_written_to() {
    let sandbox = Sandbox::empty();
    let planted = sandbox.path("outside/planted");
    let tar = Tar::tiny().file(planted.to_str().unwrap(), "planted");
    refused_in(&sandbox, &tar.gzip()).says("its path is absolute").says("outside/planted");
}

#[test]
fn an_archive_without_exactly_its_own_top_folder_is_refused() {
    let none = Tar::empty().file("configure", CONFIGURE);
    let several = Tar::tiny().file("extra/configure", CONFIGURE);
    let another = Tar::empty().file("apache-1.0/configure", CONFIGURE);
    let longer = Tar::tiny().file("httpd-1.0.1/configure", CONFIGURE);
    let other_case = Tar::empty().file("HTTPD-1.0/configure", CONFIGURE);
    let file = Tar::empty().file("httpd-1.0", "a file");
    let link = Tar::empty().symlink("httpd-1.0", ".");
    for (tar, entry) in [
        (none, "configure"),
        (several, "extra/configure"),
        (another, "apache-1.0/configure"),
        (longer, "httpd-1.0.1/configure"),
        (other_case, "HTTPD-1.0/configure"),
        (file, "httpd-1.0"),
        (link, "httpd-1.0"),
    ] {
        let outcome = refused(&tar).says("it is not below the folder `httpd-1.0`");
        outcome.says(&format!("entry: {entry}\n"));
    }
    refused(&Tar::empty()).says("it has no folder `httpd-1.0`");
    refused(&Tar::empty().folder("httpd-1.0/")).says("it has no folder `httpd-1.0`");
}

#[test]
fn names_too_long_or_with_bytes_that_no_name_has_are_refused() {
    let long_name = format!("httpd-1.0/{}", "n".repeat(300)).into_bytes();
    let long_path = format!("httpd-1.0/{}x", "folder/".repeat(714)).into_bytes();
    assert!(long_path.len() > 5_000);
    for (name, why) in [
        (long_name.as_slice(), "its path is too long"),
        (long_path.as_slice(), "its path is too long"),
        (b"httpd-1.0/caf\xe9", "a name is not UTF-8"),
        (b"httpd-1.0/new\nline", "its name has a control character"),
        (b"httpd-1.0/nul\0byte", "its name has a control character"),
    ] {
        let outcome = refused(&Tar::tiny().entry(b'0', name, "", b"x"));
        outcome.says(why).says("entry: httpd-1.0/");
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let twice = "its name stands twice";
    let case = "in case alone";
    let sound = || Tar::tiny().file("httpd-1.0/src/x.c", "one");
    for (tar, entry, why) in [
        (sound().file("httpd-1.0/src/x.c", "two"), "src/x.c", twice),
        (sound().file("httpd-1.0/src", "two"), "src", twice),
        (sound().folder("httpd-1.0/src/x.c/"), "src/x.c", twice),
        (sound().file("httpd-1.0/src/x.c/y", "two"), "src/x.c/y", "it lies below a file or link"),
        (sound().file("httpd-1.0/src/X.C", "two"), "src/X.C", case),
    ] {
        refused(&tar).says(why).says(&format!("entry: {entry}\n"));
    }
    let explicit = sound().folder("httpd-1.0/docs/").folder("httpd-1.0/DOCS/");
    refused(&explicit).says(case).says("entry: DOCS\n");
    // Whether the folder or the file is named does not matter.
    refused(&sound().file("httpd-1.0/SRC/x.c", "two")).says(case).says("entry: SRC");
}

#[test]
fn folders_without_entries_of_their_own_that_differ_in_case_alone_are_refused() {
    let tar = Tar::tiny().file("httpd-1.0/docs/one", "1");
    refused(&tar.clone().file("httpd-1.0/DOCS/two", "2")).says("in case alone");
    refused(&tar.clone().folder("httpd-1.0/DOCS/")).says("in case alone");
    refused(&tar.symlink("httpd-1.0/DOCS", "configure")).says("in case alone");
}

#[test]
fn names_that_differ_in_unicode_form_alone_are_kept_apart_or_refused() {
    let forms = [("caf\u{e9}", "one code point"), ("cafe\u{301}", "two code points")];
    let sandbox = Sandbox::empty();
    let keeps_both = {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in forms {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::read_dir(folder.path()).unwrap().count() == 2
    };
    let tar = forms
        .iter()
        .fold(Tar::tiny(), |tar, (name, text)| tar.file(format!("httpd-1.0/forms/{name}"), text));
    if !keeps_both {
        refused_in(&sandbox, &tar.gzip());
        return;
    }
    publish(&sandbox, &tar.gzip(), "[[install]]\nfrom = [\"forms/*\"]\nto = \"forms\"\n");
    sandbox.install(&[]).expect(0);
    for (name, text) in forms {
        let path = sandbox.prefix().join("current/forms").join(name);
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}

/// What an archive says must not reach the terminal as it stands.
#[test]
fn a_message_shows_no_control_character_of_the_archive() {
    let hostile = "\x1b]0;title\x07\x1b[2J";
    let name = Tar::tiny().file(format!("httpd-1.0/{hostile}"), "x");
    let target = Tar::tiny().symlink("httpd-1.0/link", hostile);
    let newline = Tar::tiny().symlink("httpd-1.0/link", "x\nerror: all is lost");
    for tar in [name, target, newline] {
        let outcome = refused(&tar).says_nothing_of("\x1b").says_nothing_of("\x07");
        outcome.says_nothing_of("\nerror: all");
    }
}

// ---- links ----

#[test]
fn a_link_that_leaves_the_source_is_refused() {
    let leaves = "which is no file or folder inside";
    for target in
        ["/etc", "..", "../httpd-1.0/configure", "../../../outside", ".", "./", "..\\x", "nowhere"]
    {
        let outcome = refused(&Tar::tiny().symlink("httpd-1.0/link", target));
        outcome.says(leaves).says("entry: link\n").says(&format!("it links to `{target}`"));
    }
    refused(&Tar::tiny().symlink("httpd-1.0/link", "")).says(leaves);
    let name = b"httpd-1.0/link";
    refused(&Tar::tiny().entry(b'2', name, b"caf\xe9", b"")).says("target is not UTF-8");
    refused(&Tar::tiny().entry(b'2', name, b"configure\n", b"")).says(leaves);
}

#[test]
fn nothing_is_written_by_way_of_a_link() {
    let below = "it lies below a file or link";
    let twice = "its name stands twice";
    let sandbox = Sandbox::empty();
    let outside = sandbox.path("outside");
    for target in [outside.to_str().unwrap(), "src"] {
        let tar = || {
            let tar = Tar::tiny().file("httpd-1.0/src/x.c", "x");
            tar.symlink("httpd-1.0/link", target)
        };
        for (tar, entry, why) in [
            (tar().file("httpd-1.0/link/planted", "planted"), "link/planted", below),
            (tar().folder("httpd-1.0/link/planted/"), "link/planted", below),
            (tar().symlink("httpd-1.0/link/planted", "x"), "link/planted", below),
            (tar().file("httpd-1.0/link", "planted"), "link", twice),
            // A reader that sets the modes of folders last follows the link.
            (tar().entry_of_mode(b'5', "httpd-1.0/link/", 0o777), "link", twice),
        ] {
            let outcome = refused_in(&sandbox, &tar.gzip());
            outcome.says(why).says(&format!("entry: {entry}\n"));
        }
    }
    let first_the_file = Tar::tiny()
        .file("httpd-1.0/link/planted", "planted")
        .symlink("httpd-1.0/link", outside.to_str().unwrap());
    refused_in(&sandbox, &first_the_file.gzip()).says(twice).says("entry: link\n");
}

#[test]
fn a_chain_of_links_is_refused_wherever_it_breaks() {
    let leaves = "which is no file or folder inside";
    let at_the_end = Tar::tiny()
        .symlink("httpd-1.0/one", "two")
        .symlink("httpd-1.0/two", "three")
        .symlink("httpd-1.0/three", "../../../outside");
    refused(&at_the_end).says(leaves);
    let circle = Tar::tiny().symlink("httpd-1.0/one", "two").symlink("httpd-1.0/two", "one");
    refused(&circle).says(leaves);
    let filled_later = Tar::tiny()
        .symlink("httpd-1.0/one", "two/canary")
        .symlink("httpd-1.0/two", "../../../outside");
    refused(&filled_later).says(leaves);
    let filled_by_file = Tar::tiny()
        .symlink("httpd-1.0/one", "../../../outside/planted")
        .file("httpd-1.0/one", "planted");
    refused(&filled_by_file).says("its name stands twice");
}

/// `..` after a link goes up from where the link leads, not from where it
/// stands, so a path that looks inside can end anywhere.
#[test]
fn a_link_that_leaves_by_way_of_another_link_is_refused() {
    let sandbox = Sandbox::empty();
    let secret = sandbox.path("outside/secret");
    let inside = secret.to_str().unwrap().trim_start_matches('/');
    let depth = 40;
    let down = "d/".repeat(depth);
    let target = format!("{down}link/{}{inside}", "../".repeat(depth));
    let tar = Tar::tiny()
        .folder("httpd-1.0/near/")
        .symlink(format!("httpd-1.0/{down}link"), format!("{}near", "../".repeat(depth)))
        // What the target looks like when links are not followed.
        .file(format!("httpd-1.0/d/{inside}"), "harmless")
        .symlink("httpd-1.0/stolen", target);
    prepare_outside(&sandbox);
    std::fs::write(&secret, "secret").unwrap();
    publish(&sandbox, &tar.gzip(), "[[install]]\nfrom = [\"stolen\"]\nto = \"share\"\n");
    let outcome = sandbox.install(&[]);
    let stolen = std::fs::read_to_string(sandbox.prefix().join("current/share/stolen"));
    assert!(stolen.is_err(), "the tree holds what lies outside of it: {stolen:?}");
    outcome.expect(30).says("entry: stolen\n");
    sandbox.assert_nothing_installed();
}

#[test]
fn links_that_stay_inside_work() {
    let sandbox = Sandbox::empty();
    let tar = Tar::tiny()
        .file("httpd-1.0/share/text", "a text")
        .symlink("httpd-1.0/share/same", "text")
        .symlink("httpd-1.0/docs/far", "../share/text")
        .symlink("httpd-1.0/folder", "share");
    let files = ["share/same", "docs/far", "folder/text"];
    publish(&sandbox, &tar.gzip(), &format!("[[install]]\nfrom = {files:?}\nto = \"share\"\n"));
    sandbox.install(&[]).expect(0);
    for name in ["text", "same", "far"] {
        let path = sandbox.prefix().join("current/share").join(name);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a text", "{name}");
    }
}

#[test]
fn a_hard_link_is_refused_wherever_it_leads() {
    let outside = "/etc/passwd";
    for target in [outside, "../../../outside/canary", "httpd-1.0/configure", "httpd-1.0/link"] {
        let tar = Tar::tiny().symlink("httpd-1.0/link", "configure");
        let outcome = refused(&tar.entry(b'1', b"httpd-1.0/hard", target, b""));
        outcome.says("it is a hard link").says("entry: httpd-1.0/hard\n");
    }
}

// ---- kinds, modes, sizes ----

#[test]
fn an_entry_that_is_no_file_folder_or_link_is_refused() {
    for (kind, why) in [
        (b'3', "it is a device"),
        (b'4', "it is a device"),
        (b'6', "it is a device"),
        (b'V', "it is of an unknown kind"),
        (b'M', "it is of an unknown kind"),
        (b'D', "it is of an unknown kind"),
        (b'Z', "it is of an unknown kind"),
        (0xff, "it is of an unknown kind"),
    ] {
        let outcome = refused(&Tar::tiny().entry(kind, b"httpd-1.0/odd", "", b""));
        outcome.says(why).says("entry: httpd-1.0/odd\n");
    }
    let sparse = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9999999999")];
    let tar = Tar::tiny().pax(&sparse).file("httpd-1.0/odd", "x");
    refused(&tar).says("it is a sparse file").says("entry: httpd-1.0/odd\n");
}

#[test]
fn a_sparse_file_is_refused_whether_its_map_is_sound_or_not() {
    let sparse = |map: &str| {
        let mut header = header(b'S', b"httpd-1.0/odd", b"", 512);
        header[386..386 + map.len()].copy_from_slice(map.as_bytes());
        header[483..495].copy_from_slice(b"00000001000\0");
        Tar::tiny().raw(&with_sum(header)).data(&[0; 512])
    };
    let block = |offset: u64, length: u64| format!("{offset:011o}\0{length:011o}\0");
    for map in [
        block(0, 1 << 32),
        block(1 << 32, 512),
        block(512, 512) + &block(0, 512),
        "not octal at all".to_owned(),
    ] {
        refused(&sparse(&map)).says("it is no sound tar");
    }
    refused(&sparse(&block(0, 512))).says("it is a sparse file").says("entry: httpd-1.0/odd\n");
}

#[test]
fn modes_of_the_archive_become_plain_ones() {
    let files = [
        ("setuid", 0o4755, 0o755),
        ("setgid", 0o2755, 0o755),
        ("sticky", 0o1644, 0o644),
        ("nothing", 0o0000, 0o644),
        ("everything", 0o7777, 0o755),
        ("writable", 0o0666, 0o644),
        ("odd", 0o0011, 0o755),
    ];
    // The source itself must be plain as well, before `[[install]]` copies it.
    let list = "\tls -ln modes > list\n\tls -ldn modes >> list\n";
    let mut tar = Tar::empty()
        .entry_of_mode(b'5', "httpd-1.0/", 0o0000)
        .entry_of_mode(b'5', "httpd-1.0/modes/", 0o7000)
        .raw(&Tar::of(&tiny_httpd_with("1.0", CONFIGURE, list)).bytes);
    for (name, mode, _) in files {
        tar = tar.entry_of_mode(b'0', format!("httpd-1.0/modes/{name}"), mode);
    }
    let sandbox = Sandbox::empty();
    let rules = "[[install]]\nfrom = [\"modes/*\", \"list\"]\nto = \"modes\"\n";
    publish(&sandbox, &tar.gzip(), rules);
    sandbox.install(&[]).expect(0);
    let installed = sandbox.prefix().join("current/modes");
    for (name, _, expected) in files {
        let mode = installed.join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{name}: {mode:o}");
    }
    let list = std::fs::read_to_string(installed.join("list")).unwrap();
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with("total")).collect();
    assert_eq!(lines.len(), files.len() + 1, "{list}");
    for line in lines {
        let bits = line.split(' ').next().unwrap();
        let plain = bits.chars().all(|bit| "-drwx.+@".contains(bit));
        let owner_alone = bits.as_bytes()[5] == b'-' && bits.as_bytes()[8] == b'-';
        assert!(plain && owner_alone && bits[1..].starts_with("rw"), "{line}");
    }
}

#[test]
fn sizes_that_contradict_each_other_are_refused() {
    let body = "x".repeat(512);
    let sized = |records: &[(&str, &str)]| Tar::tiny().pax(records).file("httpd-1.0/x", &body);
    for size in ["0", "511", "1024", "99999999"] {
        let outcome = refused(&sized(&[("size", size)]));
        outcome.says("its two headers give different sizes").says("entry: httpd-1.0/x\n");
    }
    for size in ["", "-1", "0x200", "0512", "99999999999999999999999"] {
        refused(&sized(&[("size", size)])).says("entry: httpd-1.0/x\n");
    }
    // The same size twice over is no contradiction.
    let sandbox = Sandbox::empty();
    publish(&sandbox, &sized(&[("size", "512")]).gzip(), "");
    sandbox.install(&[]).expect(0);
}

/// One reader believes the first, another the last.
#[test]
fn an_extended_header_with_two_sizes_is_refused() {
    let body = "x".repeat(512);
    let inner = Tar::empty().file("httpd-1.0/hidden", "").bytes;
    for sizes in [["1024", "512"], ["512", "1024"]] {
        let tar = Tar::tiny()
            .pax(&[("size", sizes[0]), ("size", sizes[1])])
            .file("httpd-1.0/x", &body)
            .raw(&inner);
        refused(&tar).says("its two headers give different sizes").says("entry: httpd-1.0/x\n");
    }
}

#[test]
fn an_extended_header_that_cannot_be_read_is_refused() {
    for text in ["nonsense\n", "8 size=1\n", "999 size=1\n", "12 size", "-1 size=1\n"] {
        let tar = Tar::tiny().entry(b'x', b"pax", "", text.as_bytes()).file("httpd-1.0/x", "x");
        refused(&tar).says("its extended header cannot be read");
    }
    let newline = Tar::tiny().pax(&[("path", "httpd-1.0/new\nline")]).file("httpd-1.0/x", "x");
    refused(&newline).says("its extended header cannot be read");
    let dots = Tar::tiny().pax(&[("path", "httpd-1.0/../x")]).file("httpd-1.0/x", "x");
    refused(&dots).says("its path is not plain").says("entry: httpd-1.0/../x\n");
    let link = Tar::tiny().pax(&[("linkpath", "/etc")]).symlink("httpd-1.0/x", "configure");
    refused(&link).says("it links to `/etc`");
}

#[test]
fn a_size_that_cannot_be_is_refused() {
    let negative = [0xff; 12];
    let enormous = [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
    for (size, why) in [
        (b"77777777777\0", "its files are larger than any source"),
        (b"00100000000\0", "it is no sound tar"),
        (b"-0000000001\0", "it is no sound tar"),
        (b"00000000009\0", "it is no sound tar"),
        (b"abcdefghijk\0", "it is no sound tar"),
        (&negative, "it is no sound tar"),
        (&enormous, "its files are larger than any source"),
    ] {
        refused(&Tar::tiny().raw(&with_size(b"httpd-1.0/x", size)).data(b"x")).says(why);
    }
}

/// The number has 95 bits; a reader that takes the last 64 sees a small file.
#[test]
fn a_binary_size_of_more_than_64_bits_is_refused() {
    for start in [[0x80, 0, 0, 1], [0xff, 0xff, 0xff, 0xff], [0xc0, 0, 0, 0]] {
        let mut size = [0; 12];
        size[..4].copy_from_slice(&start);
        size[11] = 1;
        refused(&Tar::tiny().raw(&with_size(b"httpd-1.0/x", &size)).data(b"x"));
    }
}

#[test]
fn a_tar_that_ends_too_early_is_refused() {
    let unsound = "it is no sound tar";
    let long_name = header(b'L', b"././@LongLink", b"", 4096);
    let body = header(b'0', b"httpd-1.0/x", b"", 4096);
    let cut_header = header(b'0', b"httpd-1.0/x", b"", 0)[..300].to_vec();
    let without_member = Tar::tiny().entry(b'L', b"././@LongLink", "", b"httpd-1.0/long\0");
    let twice = without_member.clone().entry(b'L', b"././@LongLink", "", b"httpd-1.0/long\0");
    for (what, bytes) in [
        ("a long name", Tar::tiny().raw(&long_name).data(b"httpd-1.0/cut").bytes),
        ("a long name without its file", without_member.bytes),
        ("two long names", twice.file("httpd-1.0/x", "x").bytes),
        ("an extended header without its file", Tar::tiny().pax(&[("path", "x")]).bytes),
        ("the contents", Tar::tiny().raw(&body).data(b"cut").bytes),
        ("a header", Tar::tiny().raw(&cut_header).bytes),
    ] {
        let outcome = refused_in(&Sandbox::empty(), &gzip(&bytes));
        assert!(outcome.stderr.contains(unsound), "{what}: {}", outcome.stderr);
    }
    let mut wrong_sum = header(b'0', b"httpd-1.0/x", b"", 0);
    wrong_sum[150] ^= 1;
    refused(&Tar::tiny().raw(&wrong_sum)).says(unsound);
    refused_in(&Sandbox::empty(), &gzip(b"no tar at all")).says(unsound);
}

// ---- bombs ----

#[test]
fn a_bomb_of_zeros_is_stopped_at_the_limit() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let size = 200 << 20;
    let head = Tar::tiny().raw(&header(b'0', b"httpd-1.0/zeros", b"", size)).bytes;
    encoder.write_all(&head).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(size), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    let outcome = refused_in(&Sandbox::empty(), &bomb);
    // Far below what it would have become.
    let limit = (bomb.len() as u64 * 60).max(32 << 20);
    outcome.says("unpacks to too much").says(&format!("allowed {limit} bytes"));
}

#[test]
fn a_bomb_of_entries_is_stopped_at_the_limit() {
    // Noise, so that the limit on the ratio is not the one that is met.
    let tiny = Tar::tiny().entry(b'0', b"httpd-1.0/noise", "", &noise(1 << 20));
    let folder = header(b'5', b"httpd-1.0/", b"", 0);
    let most = 100_000;
    let entries_of_tiny = 5;
    let archive = |entries: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&tiny.bytes).unwrap();
        encoder.write_all(&folder.repeat(entries - entries_of_tiny)).unwrap();
        encoder.write_all(&[0; 1024]).unwrap();
        encoder.finish().unwrap()
    };
    let sandbox = Sandbox::empty();
    publish(&sandbox, &archive(most), "");
    sandbox.install(&[]).expect(0);
    refused_in(&Sandbox::empty(), &archive(most + 1)).says("it has more than 100000 entries");
}

// ---- compression ----

#[test]
fn broken_gzip_data_is_refused() {
    let whole = tiny_httpd("1.0");
    let broken = "the compressed data of `httpd-1.0.tar.gz` is broken";
    for length in [3, 10, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        refused_in(&Sandbox::empty(), &whole[..length]).says(broken);
    }
    for (what, from_the_end) in [("sum", 8), ("length", 4)] {
        let mut wrong = whole.clone();
        let at = wrong.len() - from_the_end;
        wrong[at] ^= 1;
        let outcome = refused_in(&Sandbox::empty(), &wrong);
        assert!(outcome.stderr.contains(broken), "{what}: {}", outcome.stderr);
    }
}

/// Readers disagree about what comes after the end; no release has it.
#[test]
fn whatever_follows_the_end_of_the_gzip_data_is_refused() {
    let goes_on = "`httpd-1.0.tar.gz` goes on after the end of its archive";
    let whole = tiny_httpd("1.0");
    let second = gzip(&Tar::empty().file("httpd-1.0/second", "x").bytes);
    let much = noise(1 << 20);
    for rest in [&b"x"[..], &[0; 512], b"trailing garbage", &second, &much] {
        refused_in(&Sandbox::empty(), &[&whole, rest].concat()).says(goes_on);
    }
}

#[test]
fn bzip2_works_under_any_name_and_broken_it_is_refused() {
    let whole = bzip2(&Tar::tiny().bytes);
    let sandbox = Sandbox::empty();
    publish(&sandbox, &whole, "");
    sandbox.install(&[]).expect(0);
    let broken = "the compressed data of `httpd-1.0.tar.gz` is broken";
    for length in [4, whole.len() / 2, whole.len() - 1] {
        refused_in(&Sandbox::empty(), &whole[..length]).says(broken);
    }
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 3;
    wrong_sum[at] ^= 0x10;
    refused_in(&Sandbox::empty(), &wrong_sum).says(broken);
}

/// One rule for every kind of compression.
#[test]
fn whatever_follows_the_end_of_the_bzip2_data_is_refused() {
    let goes_on = "`httpd-1.0.tar.gz` goes on after the end of its archive";
    let whole = bzip2(&Tar::tiny().bytes);
    for rest in [&b"x"[..], &[0; 512], b"trailing garbage", &bzip2(&[0; 1024])] {
        refused_in(&Sandbox::empty(), &[&whole, rest].concat()).says(goes_on);
    }
}

#[test]
fn xz_works_and_whatever_follows_its_end_is_refused() {
    let goes_on = "`httpd-1.0.tar.gz` goes on after the end of its archive";
    let whole = xz(&Tar::tiny().bytes);
    let sandbox = Sandbox::empty();
    publish(&sandbox, &whole, "");
    sandbox.install(&[]).expect(0);
    for rest in [&b"x"[..], &[0; 512], &xz(&[0; 1024])] {
        refused_in(&Sandbox::empty(), &[&whole, rest].concat()).says(goes_on);
    }
    let broken = "the compressed data of `httpd-1.0.tar.gz` is broken";
    for length in [8, whole.len() / 2, whole.len() - 1] {
        refused_in(&Sandbox::empty(), &whole[..length]).says(broken);
    }
}

#[test]
fn a_file_that_is_no_archive_is_refused_and_said_to_be_what_it_looks_like() {
    let page = "<!DOCTYPE html>\n<title>503 Service Unavailable</title>\n";
    let zip = b"PK\x03\x04\x14\0\0\0\0\0";
    for (bytes, looks_like) in [
        (&zip[..], "found a zip file"),
        (page.as_bytes(), "found an HTML or XML page"),
        (b"\n <html>", "found an HTML or XML page"),
        (b"Not found.\n", "found plain text"),
        (b"no", "found plain text"),
        (b"\x28\xb5\x2f\xfd\0\0\0\0", "found a zstd file"),
        (b"\x7fELF\x02\x01\x01\0", "found an ELF file"),
        (b"\x01\x02\x03\x04\x05\x06", "found data of an unknown kind"),
        (b"", "found empty"),
    ] {
        let outcome = refused_in(&Sandbox::empty(), bytes);
        let outcome = outcome.says("`httpd-1.0.tar.gz` is no archive that can be read");
        outcome.says("expected gzip, bzip2 or xz").says(looks_like);
    }
}

#[test]
fn a_refused_archive_leaves_the_tree_in_use_alone() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let in_prefix = || {
        let mut found = contents(&sandbox.prefix());
        // It names the process that held it last.
        found.remove(sandbox.prefix().join(".lock").to_str().unwrap()).unwrap();
        found
    };
    let before = in_prefix();
    let old = sandbox.publish("1.0", &tiny_httpd("1.0"));
    let hostile = Tar::empty().file("httpd-2.0/configure", CONFIGURE).file("../x", "planted");
    let new = sandbox.publish("2.0", &hostile.gzip());
    sandbox.recipe(&[new, old], "");
    // An older release would hide that somebody publishes such a thing.
    sandbox.install(&[]).expect(30).says("its path is not plain");
    assert!(in_prefix() == before, "the prefix has changed");
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
}

// ---- patches ----

const PATCH: &str = "\
--- a/httpd.in
+++ b/httpd.in
@@ -1,2 +1,2 @@
 #!/bin/sh
-echo Apache/@VERSION@
+echo Apache/@VERSION@ patched
";

#[test]
fn a_patch_changes_what_is_built() {
    let sandbox = Sandbox::empty();
    publish(&sandbox, &tiny_httpd("1.0"), &patch(&sandbox, PATCH, ""));
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0 patched");
}

#[test]
fn a_patch_for_other_releases_is_not_applied() {
    for (versions, expected) in [(">1.0, <2", "Apache/1.0"), (">=0.9, <1.1", "Apache/1.0 patched")]
    {
        let sandbox = Sandbox::empty();
        publish(&sandbox, &tiny_httpd("1.0"), &patch(&sandbox, PATCH, versions));
        sandbox.install(&[]).expect(0);
        assert_eq!(sandbox.installed_version(), expected, "{versions}");
    }
}

#[test]
fn a_patch_that_does_not_fit_is_refused() {
    let changed = PATCH.replace(" #!/bin/sh", " #!/bin/bash");
    let changed_line = PATCH.replace("-echo Apache/@VERSION@", "-echo apache/@VERSION@");
    let space = PATCH.replace("-echo Apache", "-echo  Apache");
    let absent = PATCH.replace("httpd.in", "absent.in");
    let folder = PATCH.replace("httpd.in", "");
    let cut = PATCH.rsplit_once("+echo").unwrap().0.to_owned();
    let made = "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n".to_owned();
    let deleted = "--- a/LICENSE\n+++ /dev/null\n@@ -1 +0,0 @@\n-Do as you like.\n".to_owned();
    let half = format!("{PATCH}{}", PATCH.replace("httpd.in", "LICENSE"));
    for (text, why) in [
        (changed, "httpd.in"),
        (changed_line, "httpd.in"),
        (space, "httpd.in"),
        (absent, "absent.in"),
        (folder, ""),
        (cut, ""),
        (half, "LICENSE"),
        (made, "it makes, deletes or renames a file"),
        (deleted, "it makes, deletes or renames a file"),
        ("no patch at all\n".to_owned(), ""),
        (String::new(), "no valid patches found"),
    ] {
        let outcome = refused_patch(&tiny_httpd("1.0"), &text);
        outcome.says(why);
    }
}

#[test]
fn a_patch_that_leaves_the_source_is_refused() {
    for name in ["../outside/canary", "b/../../outside/canary", "/etc/hosts", "b//etc/hosts"] {
        let text = PATCH.replace("b/httpd.in", name).replace("a/httpd.in", name);
        let outcome = refused_patch(&tiny_httpd("1.0"), &text);
        outcome.says(&format!("it changes `{name}`, which lies outside the source"));
    }
}

#[test]
fn a_patch_with_other_bytes_than_the_pinned_ones_is_refused() {
    let sandbox = Sandbox::empty();
    let rule = patch(&sandbox, PATCH, "");
    std::fs::write(sandbox.path(PATCH_FILE), PATCH.replace("patched", "poisoned")).unwrap();
    publish(&sandbox, &tiny_httpd("1.0"), &rule);
    let outcome = sandbox.install(&[]).expect(21);
    outcome
        .says("checksum of patch `httpd/0001-say-more.patch` is wrong")
        .says(&format!("expected {}", sha256(PATCH.as_bytes())));
    sandbox.assert_nothing_installed();
    std::fs::remove_file(sandbox.path(PATCH_FILE)).unwrap();
    sandbox.install(&[]).expect(10).says("0001-say-more.patch");
    sandbox.assert_nothing_installed();
}

/// Links of a source lead to files of the source alone, so this is as safe as
/// a patch to the file itself.
#[test]
fn a_patch_to_a_link_changes_the_file_that_it_leads_to() {
    let text = PATCH.replace("httpd.in", "link.in");
    let tar = Tar::tiny().symlink("httpd-1.0/link.in", "httpd.in");
    let sandbox = Sandbox::empty();
    publish(&sandbox, &tar.gzip(), &patch(&sandbox, &text, ""));
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0 patched");
    // It is not a way out either.
    let tar = Tar::tiny().symlink("httpd-1.0/link.in", "../../../outside/canary");
    let sandbox = Sandbox::empty();
    prepare_outside(&sandbox);
    publish(&sandbox, &tar.gzip(), &patch(&sandbox, &text, ""));
    refused_install(&sandbox).says("which is no file or folder inside");
}

// ---- recipes ----

#[test]
fn an_unknown_key_of_a_recipe_is_named_with_its_file_and_line() {
    for (after, line) in [
        ("name = \"httpd\"", "colour = \"red\""),
        ("minimum-safe = \"1.0\"", "min-safe = \"1.0\""),
        ("[build.configure]", "argument = []"),
        ("[[install]]", "into = \"bin\""),
        ("[[release]]", "date = \"2026-01-01\""),
        ("[[release.file]]", "sha512 = \"00\""),
        ("[features.tls]", "need = []"),
    ] {
        let sandbox = Sandbox::new();
        edit_recipe(&sandbox, after, &format!("{after}\n{line}"));
        let text = std::fs::read_to_string(sandbox.path("recipes/httpd.toml")).unwrap();
        let number = 1 + text.lines().position(|found| found == line).unwrap();
        let key = line.split(' ').next().unwrap();
        let outcome = wrong_recipe(&sandbox).says(&format!("`{key}`"));
        outcome
            .says(sandbox.path("recipes/httpd.toml").to_str().unwrap())
            .says(&format!("line {number},"));
    }
}

#[test]
fn a_recipe_that_breaks_a_rule_is_refused() {
    let digest = sha256(&tiny_httpd("1.0"));
    let address = |address: &str| format!("urls = [{address:?}]\n#");
    let no_address = "is neither https nor file";
    let one_digit_less = &digest[1..];
    let one_digit_more = format!("{digest}0");
    let no_hex = format!("g{}", &digest[1..]);
    for (find, replace, why) in [
        (digest.as_str(), one_digit_less, "is not a SHA-256"),
        (&digest, &one_digit_more, "is not a SHA-256"),
        (&digest, &no_hex, "is not a SHA-256"),
        (&digest, "", "is not a SHA-256"),
        ("urls = ", &address("http://httpd.invalid/x"), no_address),
        ("urls = ", &address("http://127.0.0.1.invalid:80/x"), no_address),
        ("urls = ", &address("ftp://httpd.invalid/x"), no_address),
        ("urls = ", &address("httpd-1.0.tar.gz"), no_address),
        ("to = \"bin\"", "to = \"../bin\"", "leaves the tree"),
        ("to = \"bin\"", "to = \"bin/../../x\"", "leaves the tree"),
        ("to = \"bin\"", "to = \"/tmp\"", "leaves the tree"),
        ("folder = \"httpd-1.0\"", "folder = \"..\"", "is not a plain name"),
        ("folder = \"httpd-1.0\"", "folder = \"a/b\"", "is not a plain name"),
        ("name = \"httpd-1.0.tar.gz\"", "name = \"../x\"", "is not a plain name"),
        ("name = \"httpd\"", "name = \"apache\"", "but the file is called `httpd.toml`"),
        ("version = \"1.0\"", "version = \"../1.0\"", "is not a version"),
        ("from = [\"httpd\"]", "from = []", "needs one of `from` and `template`"),
    ] {
        let sandbox = Sandbox::new();
        edit_recipe(&sandbox, find, replace);
        let outcome = wrong_recipe(&sandbox).says("httpd.toml");
        assert!(outcome.stderr.contains(why), "{replace}: {}", outcome.stderr);
    }
}

/// What stands before `@` is a user's name, whatever it looks like.
#[test]
fn an_address_that_hides_its_host_behind_a_user_name_is_refused() {
    for url in ["http://127.0.0.1:80@httpd.invalid/x", "http://127.0.0.1:@httpd.invalid/x"] {
        let sandbox = Sandbox::new();
        edit_recipe(&sandbox, "urls = ", &format!("urls = [{url:?}]\n#"));
        wrong_recipe(&sandbox).says("is neither https nor file");
    }
}

#[test]
fn a_rule_that_renames_its_file_out_of_the_tree_is_refused() {
    let sandbox = Sandbox::empty();
    let escaped = sandbox.path("outside/escaped");
    for name in ["../../../escaped", escaped.to_str().unwrap()] {
        let rule = format!("[[install]]\nfrom = [\"LICENSE\"]\nto = \"bin\"\nrename = {name:?}\n");
        prepare_outside(&sandbox);
        publish(&sandbox, &tiny_httpd("1.0"), &rule);
        let outcome = sandbox.install(&[]);
        assert!(!escaped.exists(), "a file was written to {}", escaped.display());
        outcome.expect(10).says("httpd.toml");
        sandbox.assert_nothing_installed();
    }
}

#[test]
fn releases_that_do_not_stand_newest_first_are_refused() {
    for (first, second) in [("1.0", "1.1"), ("1.9", "1.10"), ("1.0", "1.0")] {
        let sandbox = Sandbox::empty();
        let releases = [first, second].map(|version| sandbox.publish(version, b"any"));
        sandbox.recipe(&releases, "");
        let why = format!("releases must stand newest first, but {first} comes before {second}");
        wrong_recipe(&sandbox).says(&why);
    }
}

#[test]
fn recipes_that_need_each_other_in_a_circle_are_refused() {
    let sandbox = Sandbox::new();
    let needs = |name: &str| format!("minimum-safe = \"1.0\"\nneeds = [{name:?}]");
    edit_recipe(&sandbox, "minimum-safe = \"1.0\"", &needs("library"));
    let missing = wrong_recipe(&sandbox);
    missing.says("there is no recipe `library`").says("needed by `httpd`");

    let text = std::fs::read_to_string(sandbox.path("recipes/httpd.toml")).unwrap();
    let other = text
        .replace("name = \"httpd\"", "name = \"library\"")
        .replace("needs = [\"library\"]", "needs = [\"httpd\"]");
    std::fs::write(sandbox.path("recipes/library.toml"), other).unwrap();
    let circle = wrong_recipe(&sandbox);
    circle.says("recipes need each other in a circle").says("httpd -> library -> httpd");

    let itself = Sandbox::new();
    edit_recipe(&itself, "minimum-safe = \"1.0\"", &needs("httpd"));
    wrong_recipe(&itself).says("in a circle").says("httpd -> httpd");
}

// ---- running ----

/// Looking at the compiler and at Perl takes most of the time of an install
/// that ends before it needs them.
const WITHOUT_COMPILER: &[&str] = &["--cc", "echo", "--features=-tls"];

/// Installs from a tar that must be refused.
#[track_caller]
fn refused(tar: &Tar) -> Outcome {
    refused_in(&Sandbox::empty(), &tar.gzip())
}

/// The same from any bytes. Nothing outside of prefix, cache and temporary
/// folder may change, and nothing may be left in those that counts.
#[track_caller]
fn refused_in(sandbox: &Sandbox, archive: &[u8]) -> Outcome {
    prepare_outside(sandbox);
    publish(sandbox, archive, "");
    refused_install(sandbox)
}

#[track_caller]
fn refused_patch(archive: &[u8], text: &str) -> Outcome {
    let sandbox = Sandbox::empty();
    prepare_outside(&sandbox);
    publish(&sandbox, archive, &patch(&sandbox, text, ""));
    let outcome = refused_install(&sandbox);
    outcome
        .says("patch `0001-say-more.patch` does not apply to httpd 1.0")
        .says("its reason: the test wants it")
}

#[track_caller]
fn refused_install(sandbox: &Sandbox) -> Outcome {
    let before = contents_outside(sandbox);
    let outcome = sandbox.install(WITHOUT_COMPILER).expect(30);
    sandbox.assert_nothing_installed();
    assert_eq!(contents_outside(sandbox), before, "outside of work folder and prefix");
    outcome
}

/// Installs by a recipe that must not even be begun with.
#[track_caller]
fn wrong_recipe(sandbox: &Sandbox) -> Outcome {
    // Nothing here may depend on what the network says.
    let outcome = sandbox.install(&[WITHOUT_COMPILER, &["--offline"]].concat()).expect(10);
    assert!(!sandbox.prefix().exists(), "the prefix was made");
    outcome
}

/// A folder beside the prefix that an archive may want to change.
fn prepare_outside(sandbox: &Sandbox) {
    let outside = sandbox.path("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("canary"), "#!/bin/sh\necho Apache/@VERSION@\n").unwrap();
}

fn publish(sandbox: &Sandbox, archive: &[u8], extra: &str) {
    let release = sandbox.publish("1.0", archive);
    sandbox.recipe(&[release], extra);
}

const PATCH_FILE: &str = "recipes/patches/httpd/0001-say-more.patch";

/// Puts a patch beside the recipe; returns the rule that pins it.
fn patch(sandbox: &Sandbox, text: &str, versions: &str) -> String {
    let path = sandbox.path(PATCH_FILE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    format!(
        "[[patch]]\nfile = \"0001-say-more.patch\"\nsha256 = {:?}\nversions = {versions:?}\nreason = \"the test wants it\"\n",
        sha256(text.as_bytes())
    )
}

/// Changes the first place of a text in the recipe.
fn edit_recipe(sandbox: &Sandbox, find: &str, replace: &str) {
    let path = sandbox.path("recipes/httpd.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(find), "the recipe has no `{find}`");
    std::fs::write(&path, text.replacen(find, replace, 1)).unwrap();
}

/// Path, mode and bytes (or target) of everything below a folder.
fn contents(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let bytes = if metadata.is_dir() {
            found.extend(contents(&path));
            Vec::new()
        } else if metadata.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        };
        found.insert(path.display().to_string(), (metadata.permissions().mode(), bytes));
    }
    found
}

/// The same for the sandbox without the folders that an install may write to.
fn contents_outside(sandbox: &Sandbox) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = contents(&sandbox.path(""));
    let ours = ["prefix", "cache", "tmp"].map(|name| sandbox.path(name).display().to_string());
    found.retain(|path, _| !ours.iter().any(|folder| path.starts_with(folder)));
    found
}

// ---- archives, byte by byte ----

/// A tar under construction, without the two blocks of zeros at its end. The
/// tar crate writes no name and no size that it finds odd, so this does.
#[derive(Clone)]
struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    fn empty() -> Self {
        Self { bytes: Vec::new() }
    }

    /// The tiny httpd's; refused only for what is added.
    fn tiny() -> Self {
        Self::of(&tiny_httpd("1.0"))
    }

    /// The tar inside an archive, open for more.
    fn of(archive: &[u8]) -> Self {
        let mut bytes = Vec::new();
        GzDecoder::new(archive).read_to_end(&mut bytes).unwrap();
        bytes.truncate(bytes.len() - 1024);
        Self { bytes }
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Contents, filled up to a whole block.
    fn data(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// An entry whose name and target go into GNU entries of their own where
    /// the header has no room for them.
    fn entry(self, kind: u8, name: &[u8], target: impl AsRef<[u8]>, bytes: &[u8]) -> Self {
        let target = target.as_ref();
        let mut tar = self;
        for (kind, text) in [(b'L', name), (b'K', target)] {
            if text.len() > 100 || text.contains(&0) {
                let long = [text, b"\0"].concat();
                let size = long.len() as u64;
                tar = tar.raw(&header(kind, b"././@LongLink", b"", size)).data(&long);
            }
        }
        let size = bytes.len() as u64;
        tar.raw(&header(kind, name, target, size)).data(bytes)
    }

    fn file(self, name: impl AsRef<str>, text: &str) -> Self {
        self.entry(b'0', name.as_ref().as_bytes(), "", text.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(b'5', name.as_bytes(), "", b"")
    }

    fn symlink(self, name: impl AsRef<str>, target: impl AsRef<str>) -> Self {
        self.entry(b'2', name.as_ref().as_bytes(), target.as_ref(), b"")
    }

    fn entry_of_mode(self, kind: u8, name: impl AsRef<str>, mode: u32) -> Self {
        let mut header = header(kind, name.as_ref().as_bytes(), b"", 0);
        header[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
        self.raw(&with_sum(header))
    }

    /// An extended header for the next entry.
    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = format!(" {key}={value}\n");
            let length =
                (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length);
            text.push_str(&format!("{}{rest}", length.unwrap()));
        }
        self.entry(b'x', b"pax", "", text.as_bytes())
    }

    fn gzip(&self) -> Vec<u8> {
        gzip(&[&self.bytes[..], &[0; 1024]].concat())
    }
}

type Header = [u8; 512];

/// A header of GNU tar's form.
fn header(kind: u8, name: &[u8], target: &[u8], size: u64) -> Header {
    let mut header = [0; 512];
    let mut put = |at: usize, room: usize, text: &[u8]| {
        let length = text.len().min(room);
        header[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, 100, name);
    put(100, 8, b"0000644\0");
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{size:011o}\0").as_bytes());
    put(136, 12, b"00000000000\0");
    put(156, 1, &[kind]);
    put(157, 100, target);
    put(257, 8, b"ustar  \0");
    with_sum(header)
}

/// A file's header with a size field of these bytes.
fn with_size(name: &[u8], size: &[u8; 12]) -> Header {
    let mut header = header(b'0', name, b"", 0);
    header[124..136].copy_from_slice(size);
    with_sum(header)
}

fn with_sum(mut header: Header) -> Header {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An xz file that stores its bytes as they are.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let number = |mut value: u64| {
        let mut text = Vec::new();
        while value >= 0x80 {
            text.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        text.push(value.to_le_bytes()[0]);
        text
    };
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let flags = [0, 1];
    let mut file = b"\xfd7zXZ\0".to_vec();
    file.extend(flags);
    file.extend(crc(&flags));
    // One block of LZMA2 with a dictionary of 64 KiB.
    let block_header = [2, 0, 0x21, 1, 8, 0, 0, 0];
    let mut block = [&block_header[..], &crc(&block_header)].concat();
    for (index, chunk) in bytes.chunks(1 << 15).enumerate() {
        let length = u16::try_from(chunk.len() - 1).unwrap();
        block.push(if index == 0 { 1 } else { 2 });
        block.extend(length.to_be_bytes());
        block.extend(chunk);
    }
    block.push(0);
    let unpadded = block.len() + 4;
    let mut block = padded(block);
    block.extend(crc(bytes));
    file.extend(block);
    let mut index = vec![0, 1];
    index.extend(number(unpadded as u64));
    index.extend(number(bytes.len() as u64));
    let mut index = padded(index);
    index.extend(crc(&index));
    let backward = u32::try_from(index.len() / 4 - 1).unwrap();
    file.extend(index);
    let footer = [&backward.to_le_bytes()[..], &flags].concat();
    file.extend(crc(&footer));
    file.extend(footer);
    file.extend(b"YZ");
    file
}

/// Bytes that cannot be compressed, the same ones every time.
fn noise(length: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|number| Sha256::digest(number.to_le_bytes()));
    blocks.take(length).collect()
}
