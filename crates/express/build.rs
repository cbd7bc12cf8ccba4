//! Has the crate built anew when the Python side that it carries has changed.

fn main() {
    println!("cargo::rerun-if-changed=../../python/mod_wsgi");
}
