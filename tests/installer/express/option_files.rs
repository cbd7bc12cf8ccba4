//! Options in a file, and several applications.

use super::{Express, Folder};

/// Answers with what the server has told it.
const TELLS: &str = "\
import mod_wsgi, os

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    told = [WHO, environ['SCRIPT_NAME'], environ['PATH_INFO'], mod_wsgi.process_group,
            str(mod_wsgi.threads_per_process), environ.get('STAGE', ''), os.getcwd()]
    return ['|'.join(told).encode()]
";

fn write_applications(folder: &Folder) {
    for name in ["shop", "blog"] {
        let text = TELLS.replace("WHO", &format!("'{name}'"));
        folder.write(&format!("{name}/site.py"), &text);
    }
}

const SEVERAL: &str = r#"
threads = 4
setenv = { STAGE = "trial" }

[[application]]
name = "blog"
mount-point = "/blog"
entry-point = "blog/site.py"
threads = 3
working-directory = "blog"

[[application]]
name = "shop"
entry-point = "shop/site.py"
"#;

#[test]
fn several_applications_have_processes_of_their_own() {
    let folder = Folder::new();
    write_applications(&folder);
    folder.write("mod_wsgi.toml", SEVERAL);
    let here = folder.path("blog").display().to_string();
    let express = Express::of(folder, &[]);
    for (url, told) in [
        ("/", "shop||/|shop|4|trial|"),
        ("/x", "shop||/x|shop|4|trial|"),
        ("/blogs", "shop||/blogs|shop|4|trial|"),
        ("/blog/", "blog|/blog|/|blog|3|trial|"),
        ("/blog/a/b", "blog|/blog|/a/b|blog|3|trial|"),
    ] {
        let answer = express.curl(url, &[]);
        assert!(answer.body.starts_with(told), "{url}: {answer:?}\n{}", express.log());
    }
    assert!(express.curl("/blog/", &[]).body.ends_with(&here));
}

#[test]
fn in_the_processes_of_httpd_interpreters_keep_them_apart() {
    let folder = Folder::ordinary();
    let script = "import mod_wsgi\n\
        def application(environ, start_response):\n\
        \x20   start_response('200 OK', [])\n\
        \x20   return [mod_wsgi.application_group.encode()]\n";
    for name in ["shop", "blog"] {
        folder.write(&format!("{name}/site.py"), script);
    }
    folder.write("mod_wsgi.toml", SEVERAL);
    let express = Express::of(folder, &["--embedded-mode"]);
    assert_eq!(express.ask("/"), "shop");
    assert_eq!(express.ask("/blog/"), "blog");
}

#[test]
fn what_is_typed_counts_more_than_the_file() {
    let folder = Folder::new();
    folder.write("mod_wsgi.toml", "threads = 7\nprocesses = 3\naccess-log = true\n");
    let conf = folder.configuration(&["app.wsgi", "--threads", "2"]);
    assert!(conf.contains("processes=3 threads=2"), "{conf}");
    assert!(conf.contains("CustomLog"), "{conf}");
    let conf = folder.configuration(&["app.wsgi", "--no-options-file"]);
    assert!(!conf.contains("processes=3") && !conf.contains("CustomLog"), "{conf}");
}

/// The folder of the file is where its paths begin.
#[test]
fn a_project_file_may_lie_elsewhere() {
    let folder = Folder::new();
    folder.write("other/site.py", "");
    folder.write(
        "other/pyproject.toml",
        "[project]\nname = 'x'\n[tool.mod_wsgi]\nentry-point = 'site.py'\n\
         url-alias = [['/a', 'files'], ['/b', '/abs']]\npython-path = 'lib'\n\
         server-alias = ['a.test', 'b.test']\nserver-name = 'c.test'\n",
    );
    let conf = folder.configuration(&["--options-file", "other/pyproject.toml"]);
    for line in [
        "Alias /a HERE/other/files",
        "Alias /b /abs",
        "python-path=\"HERE/other/lib\"",
        "ServerAlias a.test b.test",
    ] {
        assert!(conf.contains(line), "`{line}` is not in {conf}");
    }
    assert!(folder.read("root/handler.wsgi").contains("other/site.py"));
    // One without our table is somebody else's.
    folder.write("pyproject.toml", "[project]\nname = 'y'\n");
    folder.set_up(&["app.wsgi"]).expect(0);
}

#[test]
fn faults_name_the_file_and_the_key() {
    let folder = Folder::new();
    folder.write("app.py", "");
    let application = |lines: &str| format!("[[application]]\nname = 'a'\n{lines}");
    let two = "[[application]]\nname = 'a'\nentry-point = 'app.py'\n";
    for (text, said) in [
        ("port = ", "is not TOML"),
        ("prot = 1", "there is no option `prot`"),
        ("options-file = 'x'", "there is no option `options-file`"),
        ("port = 'abc'", "option --port: invalid integer value: 'abc'"),
        ("port = [1]", "option `port`: expected a text or a number, found [1]"),
        ("port = true", "option `port`: expected a text or a number, found true"),
        ("access-log = 1", "option `access-log`: expected true or false, found 1"),
        ("setenv = 'A'", "option `setenv`: expected a table, or an array of pairs"),
        ("setenv = [['A']]", "option `setenv`: expected a table, or an array of pairs"),
        ("application = 1", "applications are tables [[application]]"),
        ("[[application]]\nentry-point = 'app.py'", "an [[application]] has no `name`"),
        ("[[application]]\nname = '../a'", "must be letters, digits"),
        (&application(""), "the application `a` has no `entry-point`"),
        (&application("entry-point = 'app.py'\nport = 1"), "`port` of the application `a` is"),
        (&application("entry-point = 'none.py'"), "there is no application"),
        (
            &application("entry-point = 'app.py'\nthreads = 'x'"),
            "application `a`: option --threads",
        ),
        (&two.repeat(2), "two applications have the mount point `/`"),
    ] {
        let file = folder.write("mod_wsgi.toml", text);
        let outcome = folder.set_up(&[]).expect(2);
        assert!(outcome.stderr.contains(said), "{text}\n{}", outcome.stderr);
        if !["there is no application", "two applications"].iter().any(|own| said.starts_with(own))
        {
            assert!(outcome.stderr.contains(file.to_str().unwrap()), "{}", outcome.stderr);
        }
    }
    std::fs::remove_file(folder.path("mod_wsgi.toml")).unwrap();
    let outcome = folder.set_up(&["--options-file", "none.toml"]).expect(2);
    assert!(outcome.stderr.contains("option --options-file: cannot read"), "{}", outcome.stderr);
}
