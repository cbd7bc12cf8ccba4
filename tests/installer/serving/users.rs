//! Scripts that know users: by password, by digest, and by their groups.

use super::access::{USER, check, digest, gate, guarded};

#[test]
fn basic_passwords_are_checked() {
    let user = gate("user", "gate");
    let files = user.replace("er wsgi", "er wsgi file\nAuthUserFile \"SITE/apps/users\"");
    let instance = guarded(&[("/u", &user), ("/files", &files)]);
    check(
        &instance,
        "/u",
        "X-User",
        &[
            ("True", 200, ""),
            ("False", 401, "Password Mismatch"),
            ("None", 401, "user user not found"),
            ("password == 'secret'", 200, ""),
            ("''", 500, "WSGI0176"),
            ("b'name'", 500, "WSGI0177"),
            ("1", 500, "WSGI0177"),
            ("[].pop()", 500, "IndexError: pop from empty list"),
            ("sys.exit(3)", 500, "WSGI0175"),
        ],
    );
    // Who has no opinion leaves it to the next one, whose answer here is yes.
    check(&instance, "/files", "X-User", &[("None", 200, ""), ("False", 401, "")]);
    let headers = [USER, ("X-User", "'other name'")];
    let code = b"environ['REMOTE_USER'], environ['AUTH_TYPE'], environ.get('HTTP_AUTHORIZATION')";
    let reply = instance.send("POST", "/u", &headers, code).expect(200);
    assert_eq!(reply.text(), "('other name', 'Basic', None)");
    let reply = instance.get("/u").expect(401);
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"realm\""));
}

#[test]
fn digests_are_checked() {
    let instance = guarded(&[("/d", &gate("hash", "gate"))]);
    for (answer, status, text) in [
        ("realm_hash(user, realm)", "200", ""),
        ("realm_hash(user, realm).encode()", "200", ""),
        ("realm_hash(user, 'realm')", "200", ""),
        ("realm_hash(user, realm, 'other')", "401", "password mismatch"),
        ("None", "401", "user `user' in realm `realm' not found"),
        ("''", "500", "WSGI0178"),
        ("b''", "500", "WSGI0178"),
        ("True", "500", "WSGI0179"),
        ("False", "500", "WSGI0179"),
        ("5", "500", "WSGI0179"),
        ("'\\u20ac'", "500", "TypeError: Digest auth provider must return None or string object"),
        ("[].pop()", "500", "IndexError: pop from empty list"),
    ] {
        let code = "environ['REMOTE_USER'], environ['AUTH_TYPE']";
        let before = instance.log().len();
        let (found, body) = digest(&instance, "/d", answer, code);
        let log = instance.log();
        assert_eq!(found, status, "{answer}\n{log}");
        assert_eq!(body == "('user', 'Digest')", status == "200", "{answer}: {body}");
        assert!(log[before..].contains(text), "{answer}: `{text}` is not in\n{log}");
    }
}

#[test]
fn a_user_of_a_required_group_is_let_in() {
    let instance = guarded(&[("/g", &gate("groups", "gate"))]);
    check(
        &instance,
        "/g",
        "X-Groups",
        &[
            ("['staff']", 200, ""),
            ("('none', 'OTHER')", 200, ""),
            ("[b'sTaFf']", 200, ""),
            ("iter({'other': 1})", 200, ""),
            ("['\\xe9', 'staff']", 200, ""),
            ("['staffs', 'staf', ' staff', '']", 401, "not a member of designated groups."),
            ("[]", 401, "not a member of any groups."),
            ("None", 401, "WSGI0051"),
            ("5", 401, "TypeError: 'int' object is not iterable"),
            ("'staff'", 401, ""),
            ("b'staff'", 401, "WSGI0050"),
            ("['\\u20ac', 'staff']", 401, "WSGI0049"),
            ("[5, 'staff']", 401, "WSGI0050"),
            ("(1 / 0 for _ in [1])", 401, "ZeroDivisionError: division by zero"),
            ("[].pop()", 401, "IndexError: pop from empty list"),
        ],
    );
}
