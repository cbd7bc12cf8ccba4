//! What the headers of trusted proxies change in the environ:
//! `WSGITrustedProxyHeaders` and `WSGITrustedProxies` (reference 5.10).
//!
//! `mod_wsgi.script_name` and `mod_wsgi.path_info` keep the values from before;
//! the caller sets them before it calls [`rewrite`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::environ::variable_of_header;

/// The environ of one request, keys and values as latin-1 bytes.
pub type Environ = BTreeMap<Vec<u8>, Vec<u8>>;

/// A header that `WSGITrustedProxyHeaders` may name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    key: &'static [u8],
    class: Class,
    effect: Effect,
}

impl Header {
    /// The header of that name, in any case. Nothing for names that stand for
    /// nothing: the directive ignores them.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut key = Vec::new();
        let passed = variable_of_header(name.as_bytes(), &mut key);
        HEADERS.iter().find(|header| passed && header.key == key).copied()
    }

    /// Changes the environ by the header's value. False when the header is not
    /// there or gives no client address, so that it must not be kept.
    fn apply(self, environ: &mut Environ, proxies: &[Network]) -> bool {
        let Some(value) = environ.get(self.key).cloned() else { return false };
        match self.effect {
            Effect::ForwardedFor => {
                let Some(client) = forwarded_client(&value, proxies) else { return false };
                set(environ, "REMOTE_ADDR", client.address);
                environ.insert(self.key.to_vec(), client.header.to_vec());
            }
            Effect::Copy(variable) => set(environ, variable, &value),
            Effect::Script => {
                set(environ, "SCRIPT_NAME", &value);
                set(environ, "mod_wsgi.mount_point", &value);
            }
            Effect::Scheme => set_scheme(environ, word(&value, &["https"], &["http"])),
            Effect::Secure => {
                let secure = word(&value, &["on", "true", "1"], &["off", "false", "0"]);
                set_scheme(environ, secure);
            }
        }
        true
    }
}

/// Addresses of `WSGITrustedProxies`: one address or a network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(Range);

impl Network {
    /// Reads an address, a network with a mask (`10.0.0.0/8`,
    /// `10.0.0.0/255.0.0.0`, `fd00::/8`) or the first octets of an IPv4 network
    /// (`10.1`). These are the forms of APR's `apr_ipsubnet_create`; unlike it,
    /// a mask of no bits is taken.
    ///
    /// # Errors
    /// `Unable to parse trusted proxy IP address/subnet of "x".` and APR's reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_range(text).map(Self).map_err(|reason| {
            format!("Unable to parse trusted proxy IP address/subnet of \"{text}\". {reason}")
        })
    }

    /// Whether the address lies in it. An IPv4 address in IPv6 form counts as
    /// the former.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.0, address.to_canonical()) {
            (Range::V4 { start, mask }, IpAddr::V4(address)) => {
                u32::from(address) & mask == u32::from(start)
            }
            (Range::V6 { start, mask }, IpAddr::V6(address)) => {
                u128::from(address) & mask == u128::from(start)
            }
            _ => false,
        }
    }
}

/// Applies the listed headers, last one of a class wins, when the peer is
/// trusted; and takes away every other header of their classes, so that an
/// application cannot believe one that nobody vouches for (reference 5.10).
/// With no `headers` nothing happens; with no `proxies` every peer is trusted.
///
/// Where a header tells the scheme, `wsgi.url_scheme` is set and `HTTPS`
/// removed: neither it nor mod_ssl is to be asked then.
///
/// Unlike upstream, an element of `X-Forwarded-For` that is no address does not
/// become `REMOTE_ADDR` where proxies are listed.
pub fn rewrite(environ: &mut Environ, headers: &[Header], proxies: &[Network]) {
    let trusted = proxies.is_empty() || is_trusted_peer(environ, proxies);
    let mut kept: BTreeMap<Class, Option<Header>> = BTreeMap::new();
    for header in headers {
        let kept = kept.entry(header.class).or_default();
        if trusted && header.apply(environ, proxies) {
            *kept = Some(*header);
        }
    }
    for header in &HEADERS {
        if kept.get(&header.class).is_some_and(|kept| *kept != Some(*header)) {
            environ.remove(header.key);
        }
    }
}

/// What a header speaks of. A class with a listed header is governed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    Client,
    Host,
    Server,
    Port,
    Script,
    Scheme,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effect {
    ForwardedFor,
    /// The value goes to that key as it is.
    Copy(&'static str),
    Script,
    Scheme,
    Secure,
}

/// Addresses with a common start; the bits after the mask are 0 in `start`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Range {
    V4 { start: Ipv4Addr, mask: u32 },
    V6 { start: Ipv6Addr, mask: u128 },
}

impl Range {
    fn v4(address: Ipv4Addr, mask: u32) -> Self {
        Self::V4 { start: (u32::from(address) & mask).into(), mask }
    }

    /// IPv4 in IPv6 form becomes IPv4, when the mask covers all of the form.
    fn v6(address: Ipv6Addr, mask: u128) -> Self {
        match address.to_ipv4_mapped() {
            Some(inner) if mask.leading_ones() >= MAPPED_BITS => {
                let low = u32::try_from(mask & u128::from(u32::MAX));
                Self::v4(inner, low.unwrap_or(u32::MAX))
            }
            _ => Self::V6 { start: (u128::from(address) & mask).into(), mask },
        }
    }
}

/// The client that `X-Forwarded-For` names, and the header from there on.
struct Client<'a> {
    address: &'a [u8],
    header: &'a [u8],
}

/// With proxies listed: the element left of the run of trusted ones at the end,
/// else the leftmost of them. Without: the first element.
fn forwarded_client<'a>(value: &'a [u8], proxies: &[Network]) -> Option<Client<'a>> {
    let elements = elements(value);
    if proxies.is_empty() {
        return elements.first().map(|first| Client { address: first.1, header: value });
    }
    let trusted = elements.iter().rev().take_while(|element| {
        parse_address(element.1).is_some_and(|address| lies_in(address, proxies))
    });
    let outside = elements.len() - trusted.count();
    let before = outside.checked_sub(1).and_then(|last| elements.get(last));
    let (start, address) =
        before.filter(|element| parse_address(element.1).is_some()).or(elements.get(outside))?;
    Some(Client { address, header: &value[*start..] })
}

/// The elements of a comma list that are not empty, each with its place.
fn elements(value: &[u8]) -> Vec<(usize, &[u8])> {
    let mut found = Vec::new();
    let mut start = 0;
    for part in value.split(|byte| *byte == b',') {
        let element = part.trim_ascii();
        if !element.is_empty() {
            found.push((start + part.len() - part.trim_ascii_start().len(), element));
        }
        start += part.len() + 1;
    }
    found
}

/// A link-local peer comes with its zone, which no configuration can name.
fn is_trusted_peer(environ: &Environ, proxies: &[Network]) -> bool {
    let peer = environ.get(b"REMOTE_ADDR".as_slice()).map_or(&[][..], Vec::as_slice);
    let bare = peer.split(|byte| *byte == b'%').next().unwrap_or(peer);
    parse_address(bare).is_some_and(|address| lies_in(address, proxies))
}

fn lies_in(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

fn parse_address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_range(text: &str) -> Result<Range, &'static str> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if address.is_empty() || !(address.contains(':') || address.bytes().all(numeric)) {
        return Err("Invalid argument");
    }
    match (address.parse(), mask) {
        (Ok(IpAddr::V4(address)), mask) => Ok(Range::v4(address, v4_mask(mask)?)),
        (Ok(IpAddr::V6(address)), mask) => Ok(Range::v6(address, v6_mask(mask)?)),
        (Err(_), None) => first_octets(address).ok_or(BAD_ADDRESS),
        (Err(_), Some(_)) => Err(BAD_ADDRESS),
    }
}

/// `10.1` and `10.1.` mean all that starts so.
fn first_octets(text: &str) -> Option<Range> {
    let octets: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    let mut start = [0; 4];
    for (at, octet) in octets.iter().enumerate() {
        *start.get_mut(at)? = octet.parse().ok()?;
    }
    let bits = u32::try_from(octets.len()).ok()? * u8::BITS;
    Some(Range::v4(start.into(), v4_bits(bits)))
}

fn v4_mask(text: Option<&str>) -> Result<u32, &'static str> {
    let Some(text) = text else { return Ok(u32::MAX) };
    let bits = mask_bits(text, u32::BITS).map(v4_bits);
    bits.or_else(|| text.parse::<Ipv4Addr>().ok().map(u32::from)).ok_or(BAD_MASK)
}

fn v6_mask(text: Option<&str>) -> Result<u128, &'static str> {
    let Some(text) = text else { return Ok(u128::MAX) };
    let bits = mask_bits(text, u128::BITS).ok_or(BAD_MASK)?;
    Ok(u128::MAX.checked_shl(u128::BITS - bits).unwrap_or(0))
}

fn v4_bits(bits: u32) -> u32 {
    u32::MAX.checked_shl(u32::BITS - bits).unwrap_or(0)
}

fn mask_bits(text: &str, most: u32) -> Option<u32> {
    let bits = crate::options::whole(text, 0..=most.into())?;
    bits.try_into().ok()
}

/// Whether the value is one of the words that mean yes or of those for no.
fn word(value: &[u8], yes: &[&str], no: &[&str]) -> Option<bool> {
    let among =
        |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    if among(yes) { Some(true) } else { among(no).then_some(false) }
}

/// An unknown word leaves the scheme as the connection has it.
fn set_scheme(environ: &mut Environ, secure: Option<bool>) {
    let Some(secure) = secure else { return };
    environ.remove(b"HTTPS".as_slice());
    set(environ, "wsgi.url_scheme", if secure { b"https" } else { b"http" });
}

fn set(environ: &mut Environ, key: &str, value: &[u8]) {
    environ.insert(key.as_bytes().to_vec(), value.to_vec());
}

const fn known(key: &'static str, class: Class, effect: Effect) -> Header {
    Header { key: key.as_bytes(), class, effect }
}

/// The table of reference 5.10, by environ key.
const HEADERS: [Header; 15] = [
    known("HTTP_X_FORWARDED_FOR", Class::Client, Effect::ForwardedFor),
    known("HTTP_X_CLIENT_IP", Class::Client, Effect::Copy("REMOTE_ADDR")),
    known("HTTP_X_REAL_IP", Class::Client, Effect::Copy("REMOTE_ADDR")),
    known("HTTP_X_FORWARDED_HOST", Class::Host, Effect::Copy("HTTP_HOST")),
    known("HTTP_X_HOST", Class::Host, Effect::Copy("HTTP_HOST")),
    known("HTTP_X_FORWARDED_SERVER", Class::Server, Effect::Copy("SERVER_NAME")),
    known("HTTP_X_FORWARDED_PORT", Class::Port, Effect::Copy("SERVER_PORT")),
    known("HTTP_X_SCRIPT_NAME", Class::Script, Effect::Script),
    known("HTTP_X_FORWARDED_SCRIPT_NAME", Class::Script, Effect::Script),
    known("HTTP_X_FORWARDED_PROTO", Class::Scheme, Effect::Scheme),
    known("HTTP_X_FORWARDED_SCHEME", Class::Scheme, Effect::Scheme),
    known("HTTP_X_SCHEME", Class::Scheme, Effect::Scheme),
    known("HTTP_X_FORWARDED_HTTPS", Class::Scheme, Effect::Secure),
    known("HTTP_X_FORWARDED_SSL", Class::Scheme, Effect::Secure),
    known("HTTP_X_HTTPS", Class::Scheme, Effect::Secure),
];

const BAD_ADDRESS: &str = "The specified IP address is invalid.";

const BAD_MASK: &str = "The specified network mask is invalid.";

/// Bits before the IPv4 address in its IPv6 form.
const MAPPED_BITS: u32 = 96;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environ(pairs: &[(&str, &str)]) -> Environ {
        pairs
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect()
    }

    fn headers(names: &[&str]) -> Vec<Header> {
        names.iter().filter_map(|name| Header::parse(name)).collect()
    }

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[track_caller]
    fn rewrites(names: &[&str], proxies: &[&str], before: &[(&str, &str)], after: &[(&str, &str)]) {
        let mut found = environ(before);
        rewrite(&mut found, &headers(names), &networks(proxies));
        assert_eq!(found, environ(after));
    }

    /// `REMOTE_ADDR` and the header after a request from the trusted 10.0.0.9.
    fn forwarded(value: &str, proxies: &[&str]) -> (String, Option<String>) {
        let mut found = environ(&[("REMOTE_ADDR", "10.0.0.9"), ("HTTP_X_FORWARDED_FOR", value)]);
        rewrite(&mut found, &headers(&["X-Forwarded-For"]), &networks(proxies));
        let text = |key: &str| {
            found.get(key.as_bytes()).map(|value| String::from_utf8(value.clone()).unwrap())
        };
        (text("REMOTE_ADDR").unwrap(), text("HTTP_X_FORWARDED_FOR"))
    }

    #[test]
    fn known_headers_are_found_in_any_case() {
        assert!(Header::parse("x-forwarded-FOR").is_some());
        for name in ["", "X-Other", "Host", "X_Real_IP", "HTTP_X_REAL_IP"] {
            assert_eq!(Header::parse(name), None, "{name}");
        }
    }

    #[test]
    fn without_listed_headers_nothing_happens() {
        let request = [("REMOTE_ADDR", "1.1.1.1"), ("HTTP_X_FORWARDED_FOR", "junk")];
        rewrites(&[], &["10.0.0.0/8"], &request, &request);
        rewrites(&["X-Other"], &[], &request, &request);
    }

    #[test]
    fn each_header_has_its_effect() {
        for (name, key, value, variable) in [
            ("X-Client-IP", "HTTP_X_CLIENT_IP", "1.2.3.4", "REMOTE_ADDR"),
            ("X-Real-IP", "HTTP_X_REAL_IP", "1.2.3.4", "REMOTE_ADDR"),
            ("X-Forwarded-Host", "HTTP_X_FORWARDED_HOST", "a:81", "HTTP_HOST"),
            ("X-Host", "HTTP_X_HOST", "a", "HTTP_HOST"),
            ("X-Forwarded-Server", "HTTP_X_FORWARDED_SERVER", "a", "SERVER_NAME"),
            ("X-Forwarded-Port", "HTTP_X_FORWARDED_PORT", "8443", "SERVER_PORT"),
        ] {
            rewrites(&[name], &[], &[(key, value)], &[(key, value), (variable, value)]);
        }
        for (name, key) in [
            ("X-Script-Name", "HTTP_X_SCRIPT_NAME"),
            ("X-Forwarded-Script-Name", "HTTP_X_FORWARDED_SCRIPT_NAME"),
        ] {
            rewrites(
                &[name],
                &[],
                &[(key, "/m"), ("SCRIPT_NAME", "/s"), ("mod_wsgi.script_name", "/s")],
                &[
                    (key, "/m"),
                    ("SCRIPT_NAME", "/m"),
                    ("mod_wsgi.mount_point", "/m"),
                    ("mod_wsgi.script_name", "/s"),
                ],
            );
        }
    }

    #[test]
    fn the_scheme_is_told_in_words() {
        for (name, key) in [
            ("X-Forwarded-Proto", "HTTP_X_FORWARDED_PROTO"),
            ("X-Forwarded-Scheme", "HTTP_X_FORWARDED_SCHEME"),
            ("X-Scheme", "HTTP_X_SCHEME"),
        ] {
            for (value, scheme) in [("https", "https"), ("HTTP", "http")] {
                let after = [(key, value), ("wsgi.url_scheme", scheme)];
                rewrites(&[name], &[], &[(key, value), ("HTTPS", "on")], &after);
            }
            let unknown = [(key, "wss"), ("HTTPS", "on")];
            rewrites(&[name], &[], &unknown, &unknown);
        }
        for (name, key) in [
            ("X-Forwarded-HTTPS", "HTTP_X_FORWARDED_HTTPS"),
            ("X-Forwarded-SSL", "HTTP_X_FORWARDED_SSL"),
            ("X-HTTPS", "HTTP_X_HTTPS"),
        ] {
            for value in ["On", "true", "1"] {
                let after = [(key, value), ("wsgi.url_scheme", "https")];
                rewrites(&[name], &[], &[(key, value)], &after);
            }
            for value in ["off", "False", "0"] {
                let after = [(key, value), ("wsgi.url_scheme", "http")];
                rewrites(&[name], &[], &[(key, value)], &after);
            }
        }
    }

    #[test]
    fn an_untrusted_peer_loses_all_headers_of_governed_classes() {
        for peer in ["192.0.2.1", "junk", ""] {
            rewrites(
                &["X-Forwarded-For"],
                &["10.0.0.0/8"],
                &[
                    ("REMOTE_ADDR", peer),
                    ("HTTP_X_FORWARDED_FOR", "1.2.3.4"),
                    ("HTTP_X_REAL_IP", "1.2.3.4"),
                    ("HTTP_X_FORWARDED_PROTO", "https"),
                ],
                &[("REMOTE_ADDR", peer), ("HTTP_X_FORWARDED_PROTO", "https")],
            );
        }
    }

    #[test]
    fn the_last_applied_header_of_a_class_is_kept() {
        rewrites(
            &["X-Real-IP", "X-Client-IP", "X-Forwarded-For"],
            &[],
            &[("HTTP_X_REAL_IP", "1.1.1.1"), ("HTTP_X_CLIENT_IP", "2.2.2.2")],
            &[("HTTP_X_CLIENT_IP", "2.2.2.2"), ("REMOTE_ADDR", "2.2.2.2")],
        );
    }

    #[test]
    fn a_trusted_peer_without_listed_headers_loses_the_others() {
        rewrites(
            &["X-Real-IP"],
            &[],
            &[("REMOTE_ADDR", "1.1.1.1"), ("HTTP_X_FORWARDED_FOR", "2.2.2.2")],
            &[("REMOTE_ADDR", "1.1.1.1")],
        );
    }

    #[test]
    fn without_proxies_the_first_element_is_the_client() {
        for (value, client) in
            [("1.1.1.1, 2.2.2.2", "1.1.1.1"), (" , 1.1.1.1", "1.1.1.1"), ("junk, 2.2.2.2", "junk")]
        {
            assert_eq!(forwarded(value, &[]), (client.into(), Some(value.into())));
        }
        assert_eq!(forwarded(" ,", &[]), ("10.0.0.9".into(), None));
    }

    #[test]
    fn with_proxies_the_client_is_left_of_the_trusted_ones() {
        for (value, client, header) in [
            ("1.1.1.1", "1.1.1.1", "1.1.1.1"),
            ("9.9.9.9, 1.1.1.1", "1.1.1.1", "1.1.1.1"),
            ("9.9.9.9, 1.1.1.1, 10.0.0.2,10.0.0.1", "1.1.1.1", "1.1.1.1, 10.0.0.2,10.0.0.1"),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            ("10.0.0.3, 1.1.1.1, 10.0.0.1", "1.1.1.1", "1.1.1.1, 10.0.0.1"),
            ("2001:db8::1, 10.0.0.1", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            ("1.1.1.1, ::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1, ::ffff:10.0.0.1"),
            ("1.1.1.1, 10.0.0.1, ", "1.1.1.1", "1.1.1.1, 10.0.0.1, "),
        ] {
            let found = forwarded(value, &["10.0.0.0/8"]);
            assert_eq!(found, (client.into(), Some(header.into())), "{value}");
        }
    }

    #[test]
    fn junk_does_not_become_the_client() {
        for value in ["junk", "1.1.1.1, junk", "unknown", "1.1.1.1:80", "fe80::1%<b>", ""] {
            assert_eq!(forwarded(value, &["10.0.0.0/8"]), ("10.0.0.9".into(), None), "{value}");
        }
        let found = forwarded("1.1.1.1, junk, 10.0.0.1", &["10.0.0.0/8"]);
        assert_eq!(found, ("10.0.0.1".into(), Some("10.0.0.1".into())));
    }

    #[test]
    fn a_peer_may_come_with_its_zone() {
        rewrites(
            &["X-Real-IP"],
            &["fe80::/10"],
            &[("REMOTE_ADDR", "fe80::1%eth0"), ("HTTP_X_REAL_IP", "1.1.1.1")],
            &[("REMOTE_ADDR", "1.1.1.1"), ("HTTP_X_REAL_IP", "1.1.1.1")],
        );
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/255.0.0.0", "10.9.9.9", "11.0.0.1"),
            ("10.1", "10.1.200.1", "10.2.0.1"),
            ("10.1.", "10.1.200.1", "10.2.0.1"),
            ("0.0.0.0/0", "203.0.113.5", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.5"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("::1/128", "::1", "127.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.0.0.1"),
            ("192.168.0.0/31", "::ffff:192.168.0.1", "192.168.0.2"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} not in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_aprs_reason() {
        for (text, reason) in [
            ("", "Invalid argument"),
            ("example.com", "Invalid argument"),
            ("/8", "Invalid argument"),
            ("10.0.0.256", BAD_ADDRESS),
            ("10.0.0.0.1", BAD_ADDRESS),
            ("10..1", BAD_ADDRESS),
            ("10/8", BAD_ADDRESS),
            ("::g", BAD_ADDRESS),
            (":", BAD_ADDRESS),
            ("10.0.0.0/33", BAD_MASK),
            ("10.0.0.0/", BAD_MASK),
            ("10.0.0.0/-1", BAD_MASK),
            ("10.0.0.0/8/8", BAD_MASK),
            ("::/129", BAD_MASK),
            ("::/255.0.0.0", BAD_MASK),
        ] {
            assert_eq!(
                Network::parse(text).unwrap_err(),
                format!("Unable to parse trusted proxy IP address/subnet of \"{text}\". {reason}")
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_with_proxies_the_client_is_an_address(
            value: Vec<u8>,
            list in "([0-9a-f.:x]{0,9},? ?){0,4}",
        ) {
            let listed: Vec<Header> = HEADERS.to_vec();
            for value in [value, list.into_bytes()] {
                let mut request = environ(&[("REMOTE_ADDR", "10.0.0.9")]);
                for header in &HEADERS {
                    request.insert(header.key.to_vec(), value.clone());
                }
                rewrite(&mut request.clone(), &listed, &[]);
                rewrite(&mut request, &listed[..1], &networks(&["10.0.0.0/8", "::/1"]));
                prop_assert!(parse_address(&request[b"REMOTE_ADDR".as_slice()]).is_some());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9a-f.:/]{0,20}") {
            prop_assert!(Network::parse(&text).is_err() || !text.is_empty());
            prop_assert!(Header::parse(&text).is_none() || text.starts_with(['X', 'x']));
        }

        #[test]
        fn an_address_lies_in_its_own_networks(octets: [u8; 4], bits in 0_u8..=32) {
            let address = Ipv4Addr::from(octets);
            let network = Network::parse(&format!("{address}/{bits}")).unwrap();
            prop_assert!(network.contains(address.into()));
        }
    }
}
