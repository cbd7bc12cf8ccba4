//! `manage.py runmodwsgi` with the real launcher: the program of the installer, which
//! is `mod_wsgi-express` only if it is called so.

use std::path::Path;

use super::{Folder, command};
use crate::sandbox::{Outcome, program};
use crate::serving::venv::venv;

const SETTINGS: &str = "SECRET_KEY = 'x' * 50\nINSTALLED_APPS = ['mod_wsgi.express']\n\
    WSGI_APPLICATION = 'shop.wsgi.application'\n";

#[test]
fn a_project_is_set_up_by_its_own_command() {
    let folder = Folder::new();
    folder.write("shop/__init__.py", "");
    folder.write("shop/settings.py", SETTINGS);
    folder.write("shop/wsgi.py", super::APPLICATION);
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut manage = command(venv().home.join("bin/python"));
    manage.args(["-m", "django", "runmodwsgi", "--setup-only", "--slow-requests", "2.5"]);
    manage.args(["--enable-telemetry", "--switch-interval", "0.01"]);
    manage.args(folder.always(&[])).current_dir(folder.path(""));
    manage.env("PYTHONPATH", format!("{}:{}", ours.display(), folder.path("").display()));
    manage.env("DJANGO_SETTINGS_MODULE", "shop.settings").env("MOD_WSGI_EXPRESS", program());
    let outcome = Outcome::of(manage.output().unwrap()).expect(0);
    assert!(outcome.stdout.starts_with("Successfully ran command.\n"), "{}", outcome.stdout);
    let conf = folder.read("root/httpd.conf");
    for line in ["WSGISwitchInterval 0.01", "WSGISlowRequests 2.5"] {
        assert!(conf.lines().any(|found| found == line), "{line}\n{conf}");
    }
    let home = format!(" home=\"{}\"", folder.path("").canonicalize().unwrap().display());
    assert!(conf.contains(home.trim_end_matches('/')), "{home}\n{conf}");
    let script = folder.read("root/handler.wsgi");
    assert!(script.contains("shop.wsgi") && script.contains("module"), "{script}");
}
