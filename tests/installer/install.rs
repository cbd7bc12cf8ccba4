//! Installing: all or nothing, once or again, alone or side by side.

use crate::sandbox::Sandbox;

#[test]
fn a_second_install_has_nothing_to_do() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    let again = sandbox.install(&[]).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
}
