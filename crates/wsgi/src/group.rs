//! Which process group, interpreter and callable a configured name means: the
//! `%{...}` forms and what stands in when a directive is not set.
//!
//! The facts that the forms ask for are the caller's, through [`Facts`].

/// A configured name, not yet expanded (reference 5.2). The forms are written
/// exactly so; anything else is literal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name<'a> {
    /// `%{GLOBAL}`: embedded mode, or the main interpreter.
    Global,
    /// `%{SERVER}`: the server's name.
    Server,
    /// `%{HOST}`: the host that the client asked for.
    Host,
    /// `%{RESOURCE}`: the server and the script.
    Resource,
    /// `%{ENV:x}`: the variable `x`.
    Env(&'a str),
    /// The name itself.
    Literal(&'a str),
}

impl<'a> Name<'a> {
    /// Tells the forms apart.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        match text {
            "%{GLOBAL}" => Self::Global,
            "%{SERVER}" => Self::Server,
            "%{HOST}" => Self::Host,
            "%{RESOURCE}" => Self::Resource,
            _ => text
                .strip_prefix("%{ENV:")
                .and_then(|rest| rest.strip_suffix('}'))
                .map_or(Self::Literal(text), Self::Env),
        }
    }
}

/// What the forms ask about the request at hand.
pub trait Facts {
    /// `ServerName`, through [`with_port`].
    fn server(&self) -> String;
    /// The requested host, else `ServerName`, through [`with_port`].
    fn host(&self) -> String;
    /// `ServerName` through [`with_port`], a `|`, and the script name
    /// ([`crate::environ::script_name`]).
    fn resource(&self) -> String;
    /// A variable: request notes, then the request's environment, then that of
    /// the process.
    fn env(&self, name: &str) -> Option<String>;
}

/// The interpreter that `WSGIApplicationGroup` selects; unset means
/// `%{RESOURCE}`, empty is the main interpreter.
pub fn application_group(text: Option<&str>, facts: &impl Facts) -> String {
    expand(text.unwrap_or("%{RESOURCE}"), facts)
}

/// The daemon group that `WSGIProcessGroup` selects; unset and empty mean
/// embedded mode.
pub fn process_group(text: Option<&str>, facts: &impl Facts) -> String {
    expand(text.unwrap_or_default(), facts)
}

/// The interpreter of a dispatch, access or authentication script; unset means
/// the main one. `%{RESOURCE}` and `%{ENV:x}` are not expanded: such a script
/// does not belong to one resource.
pub fn script_group(text: Option<&str>, facts: &impl Facts) -> String {
    let text = text.unwrap_or_default();
    match Name::parse(text) {
        Name::Resource | Name::Env(_) => text.to_owned(),
        name => expand_name(name, text, facts),
    }
}

/// The global name that `WSGICallableObject` selects in the script. Only
/// `%{ENV:x}` expands; any other text that starts with `%`, written or found,
/// means `application` (reference 1.2).
pub fn callable(text: Option<&str>, facts: &impl Facts) -> String {
    let text = text.unwrap_or(DEFAULT_CALLABLE);
    let found = match Name::parse(text) {
        Name::Env(variable) => facts.env(variable),
        _ => Some(text.to_owned()),
    };
    found.filter(|name| !name.starts_with('%')).unwrap_or_else(|| DEFAULT_CALLABLE.to_owned())
}

/// A host name with its port, unless that is one of the two that browsers leave
/// out (reference 5.2).
#[must_use]
pub fn with_port(name: &str, port: u16) -> String {
    match port {
        80 | 443 => name.to_owned(),
        _ => format!("{name}:{port}"),
    }
}

/// A value found in a variable is expanded once more, but is not looked up in a
/// further variable: two that name each other would have no end.
fn expand(text: &str, facts: &impl Facts) -> String {
    let Name::Env(variable) = Name::parse(text) else {
        return expand_name(Name::parse(text), text, facts);
    };
    match facts.env(variable) {
        Some(value) => expand_name(Name::parse(&value), &value, facts),
        None => text.to_owned(),
    }
}

fn expand_name(name: Name<'_>, text: &str, facts: &impl Facts) -> String {
    match name {
        Name::Global => String::new(),
        Name::Server => facts.server(),
        Name::Host => facts.host(),
        Name::Resource => facts.resource(),
        Name::Env(_) | Name::Literal(_) => text.to_owned(),
    }
}

const DEFAULT_CALLABLE: &str = "application";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Request;

    impl Facts for Request {
        fn server(&self) -> String {
            with_port("example.com", 8080)
        }

        fn host(&self) -> String {
            with_port("www.example.com", 443)
        }

        fn resource(&self) -> String {
            "example.com:8080|/app".to_owned()
        }

        fn env(&self, name: &str) -> Option<String> {
            let value = match name {
                "PLAIN" => "plain",
                "HOST" => "%{HOST}",
                "GLOBAL" => "%{GLOBAL}",
                "AGAIN" => "%{ENV:PLAIN}",
                "ODD" => "%{ODD}",
                "EMPTY" => "",
                _ => return None,
            };
            Some(value.to_owned())
        }
    }

    #[test]
    fn the_forms_are_told_apart() {
        for (text, name) in [
            ("%{GLOBAL}", Name::Global),
            ("%{SERVER}", Name::Server),
            ("%{HOST}", Name::Host),
            ("%{RESOURCE}", Name::Resource),
            ("%{ENV:x}", Name::Env("x")),
            ("%{ENV:}", Name::Env("")),
            ("%{ENV:x", Name::Literal("%{ENV:x")),
            ("%{global}", Name::Literal("%{global}")),
            ("%{GLOBAL} ", Name::Literal("%{GLOBAL} ")),
            ("main", Name::Literal("main")),
            ("", Name::Literal("")),
        ] {
            assert_eq!(Name::parse(text), name);
        }
    }

    #[test]
    fn an_unset_directive_has_its_own_meaning() {
        assert_eq!(application_group(None, &Request), "example.com:8080|/app");
        assert_eq!(process_group(None, &Request), "");
        assert_eq!(script_group(None, &Request), "");
        assert_eq!(callable(None, &Request), "application");
    }

    #[test]
    fn groups_expand() {
        for (text, group) in [
            ("%{GLOBAL}", ""),
            ("%{SERVER}", "example.com:8080"),
            ("%{HOST}", "www.example.com"),
            ("%{RESOURCE}", "example.com:8080|/app"),
            ("%{ENV:PLAIN}", "plain"),
            ("%{ENV:HOST}", "www.example.com"),
            ("%{ENV:GLOBAL}", ""),
            ("%{ENV:AGAIN}", "%{ENV:PLAIN}"),
            ("%{ENV:ODD}", "%{ODD}"),
            ("%{ENV:EMPTY}", ""),
            ("%{ENV:MISSING}", "%{ENV:MISSING}"),
            ("%{ODD}", "%{ODD}"),
            ("name", "name"),
            ("", ""),
        ] {
            assert_eq!(application_group(Some(text), &Request), group, "{text}");
            assert_eq!(process_group(Some(text), &Request), group, "{text}");
        }
    }

    #[test]
    fn script_groups_do_not_follow_the_resource() {
        for (text, group) in [
            ("%{GLOBAL}", ""),
            ("%{SERVER}", "example.com:8080"),
            ("%{HOST}", "www.example.com"),
            ("%{RESOURCE}", "%{RESOURCE}"),
            ("%{ENV:PLAIN}", "%{ENV:PLAIN}"),
            ("name", "name"),
        ] {
            assert_eq!(script_group(Some(text), &Request), group, "{text}");
        }
    }

    #[test]
    fn callables_expand_variables_only() {
        for (text, name) in [
            ("app", "app"),
            ("%{ENV:PLAIN}", "plain"),
            ("%{ENV:MISSING}", "application"),
            ("%{ENV:HOST}", "application"),
            ("%{ENV:AGAIN}", "application"),
            ("%{GLOBAL}", "application"),
            ("%{RESOURCE}", "application"),
            ("%odd", "application"),
        ] {
            assert_eq!(callable(Some(text), &Request), name, "{text}");
        }
    }

    #[test]
    fn usual_ports_are_left_out() {
        assert_eq!(with_port("a", 80), "a");
        assert_eq!(with_port("a", 443), "a");
        assert_eq!(with_port("a", 8000), "a:8000");
        assert_eq!(with_port("a", 0), "a:0");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(%\\{(ENV:)?)?\\PC*\\}?") {
            let group = application_group(Some(&text), &Request);
            prop_assert_eq!(process_group(Some(&text), &Request), group);
            prop_assert!(script_group(Some(&text), &Request).len() <= text.len().max(100));
            prop_assert!(!callable(Some(&text), &Request).starts_with('%'));
        }
    }
}
