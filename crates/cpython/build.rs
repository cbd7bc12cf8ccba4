//! Hands on what pyo3 found out about the interpreter: `cfg(Py_3_12)` and so on.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
