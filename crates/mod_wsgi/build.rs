//! Notes the Python that the module is for, and where its library lies; or their names
//! alone, if the module is to find them where it is taken to.

use std::process::Command;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment, and they start programs"
)]
fn main() {
    println!("cargo:rerun-if-env-changed={PYTHON}");
    println!("cargo:rerun-if-env-changed={PORTABLE}");
    println!("cargo:rerun-if-env-changed=PATH");
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let is_portable = std::env::var(PORTABLE).is_ok_and(|value| !value.is_empty());
    let answer = Command::new(&python)
        .args(["-I", "-c", if is_portable { NAMES } else { QUESTION }])
        .output();
    let text = match &answer {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout),
        _ => {
            println!("cargo:error=`{python}` does not answer; set {PYTHON} to a Python 3");
            return;
        }
    };
    let mut lines = text.lines();
    for name in ["MOD_WSGI_PYTHON", "MOD_WSGI_LIBPYTHON", "MOD_WSGI_PYTHON_VERSION"] {
        println!("cargo:rustc-env={name}={}", lines.next().unwrap_or_default());
    }
}

/// The interpreter, its shared library if it has one, its version.
const QUESTION: &str = "
import os, sys, sysconfig
v = sysconfig.get_config_vars()
print(sys.executable)
print(os.path.join(v['LIBDIR'], v['INSTSONAME']) if v.get('Py_ENABLE_SHARED') else '')
print('%d.%d.%d' % sys.version_info[:3])
";

/// The same of any Python of that version.
const NAMES: &str = "
import sys
name = 'python%d.%d' % sys.version_info[:2]
print(name)
print('lib%s.so.1.0' % name)
print('%d.%d' % sys.version_info[:2])
";

const PORTABLE: &str = "MOD_WSGI_PORTABLE";
const PYTHON: &str = "PYO3_PYTHON";
