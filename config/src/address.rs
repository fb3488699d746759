//! Where a collector is, as Antrea's files write it: `HOST[:[PORT][:PROTOCOL]]`.
//!
//! A host is a name, an IPv4 address, an IPv6 address in brackets, or `namespace/name` of a
//! Service. As in Antrea, an empty port is only allowed before a protocol, and brackets are
//! followed by a colon.

use std::fmt;
use std::net::Ipv6Addr;

/// Where IPFIX is received, unless the address says otherwise (IANA's port).
pub const DEFAULT_PORT: u16 = 4739;
/// The longest name that DNS has, in characters.
const HOST: usize = 253;
/// The longest part of one, and so of what Kubernetes makes one of.
const LABEL: usize = 63;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: Host,
    pub port: u16,
    /// `None` where the text does not say.
    pub protocol: Option<Protocol>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address; IPv6 without brackets.
    Named(String),
    Service {
        namespace: String,
        name: String,
    },
}

/// The words of Antrea's grammar, in lower case only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    Tls,
    Grpc,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST[:PORT[:PROTOCOL]], found {text:?}: {why}")]
pub struct AddressError {
    text: String,
    why: String,
}

impl AddressError {
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// Reads an address such as `flow-aggregator/flow-aggregator:4739:tls`.
pub fn parse(text: &str) -> Result<Address, AddressError> {
    read(text).map_err(|why| AddressError { text: text.chars().take(100).collect(), why })
}

fn read(text: &str) -> Result<Address, String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address needs brackets, as in [{text}]:{DEFAULT_PORT}"));
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => in_brackets(rest)?,
        None => text.split_once(':').map_or((text, None), |(host, rest)| (host, Some(rest))),
    };
    let pieces: Vec<&str> = rest.map(|rest| rest.split(':').collect()).unwrap_or_default();
    let (port, protocol) = match *pieces.as_slice() {
        [] => (DEFAULT_PORT, None),
        [""] => return Err("the port is missing behind the colon; leave both out".into()),
        [port] => (read_port(port)?, None),
        ["", word] => (DEFAULT_PORT, Some(read_protocol(word)?)),
        [port, word] => (read_port(port)?, Some(read_protocol(word)?)),
        _ => return Err("there are too many colons".into()),
    };
    Ok(Address { host: read_host(host)?, port, protocol })
}

fn in_brackets(rest: &str) -> Result<(&str, Option<&str>), String> {
    let (host, behind) = rest.split_once(']').ok_or("the bracket is not closed")?;
    let behind = behind.strip_prefix(':').ok_or("a colon and a port must follow the bracket")?;
    Ok((host, Some(behind)))
}

fn read_host(host: &str) -> Result<Host, String> {
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "[]\"'".contains(c)) {
        return Err("the host has a character that no host has".into());
    }
    if host.len() > HOST {
        return Err("the host is longer than any".into());
    }
    match host.split_once('/') {
        None => Ok(Host::Named(host.to_owned())),
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            // Both become parts of a URL.
            if !is_label(namespace, LABEL) || !is_label(name, LABEL) {
                return Err("no Service has such a name: small letters, digits and -".into());
            }
            Ok(Host::Service { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        Some(_) => Err("a Service is written NAMESPACE/NAME".into()),
    }
}

/// Whether `text` is a label of a name as Kubernetes has them (RFC 1123): small letters, digits,
/// and within it hyphens; `longest` bytes at most.
pub fn is_label(text: &str, longest: usize) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_ends = !text.is_empty() && !text.starts_with('-') && !text.ends_with('-');
    has_ends && text.len() <= longest && text.bytes().all(is_inner)
}

/// Whether `host` can be in a URL: a name, an IPv4 address, or an IPv6 address in brackets.
pub fn is_url_host(host: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|it| it.parse::<Ipv6Addr>().is_ok()),
        None => (1..=HOST).contains(&host.len()) && host.bytes().all(is_inner),
    }
}

fn read_port(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err("the port is not a number from 1 to 65535".into()),
    }
}

fn read_protocol(word: &str) -> Result<Protocol, String> {
    Protocol::ALL
        .into_iter()
        .find(|protocol| protocol.word() == word)
        .ok_or_else(|| "the protocol is not one of tcp, udp, tls, grpc (in lower case)".into())
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Tls, Self::Grpc];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Tls => "tls",
            Self::Grpc => "grpc",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Named(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port)?,
            Host::Named(host) => write!(f, "{host}:{}", self.port)?,
            Host::Service { namespace, name } => write!(f, "{namespace}/{name}:{}", self.port)?,
        }
        match self.protocol {
            Some(protocol) => write!(f, ":{}", protocol.word()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(host: &str) -> Host {
        Host::Named(host.into())
    }

    fn service(namespace: &str, name: &str) -> Host {
        Host::Service { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn antreas_examples_are_read() {
        use Protocol::{Grpc, Tcp, Tls, Udp};
        let aggregator = || service("flow-aggregator", "flow-aggregator");
        for (text, host, port, protocol) in [
            ("1.2.3.4:80:udp", named("1.2.3.4"), 80, Some(Udp)),
            ("1.2.3.4:80", named("1.2.3.4"), 80, None),
            ("1.2.3.4", named("1.2.3.4"), 4739, None),
            ("[fe80::1]:80:tcp", named("fe80::1"), 80, Some(Tcp)),
            ("[fe80::1]:80", named("fe80::1"), 80, None),
            ("[fe80::1]::tcp", named("fe80::1"), 4739, Some(Tcp)),
            ("flow-aggregator/flow-aggregator::tcp", aggregator(), 4739, Some(Tcp)),
            ("flow-aggregator/flow-aggregator:4739:tls", aggregator(), 4739, Some(Tls)),
            ("ns/svc:14739:grpc", service("ns", "svc"), 14739, Some(Grpc)),
            ("ns/svc", service("ns", "svc"), 4739, None),
            (
                "flow-aggregator.flow-aggregator.svc:4739:tcp",
                named("flow-aggregator.flow-aggregator.svc"),
                4739,
                Some(Tcp),
            ),
        ] {
            assert_eq!(parse(text), Ok(Address { host, port, protocol }), "{text}");
        }
    }

    #[test]
    fn what_antrea_refuses_is_refused_with_its_reason() {
        for (text, why) in [
            ("x:str:tcp", "not a number from 1 to 65535"),
            ("x:78900:tcp", "not a number from 1 to 65535"),
            ("x:0", "not a number from 1 to 65535"),
            ("x:+80", "not a number from 1 to 65535"),
            ("1.2.3.4:80:sctp", "not one of tcp, udp, tls, grpc"),
            ("1.2.3.4:80:TCP", "not one of tcp, udp, tls, grpc"),
            ("1.2.3.4:80:", "not one of tcp, udp, tls, grpc"),
            (":abbbsctp::", "too many colons"),
            ("[fe80::1]", "a colon and a port must follow"),
            ("[fe80::1]:", "the port is missing"),
            ("[fe80::1", "not closed"),
            ("fe80::1", "needs brackets"),
            ("::1", "needs brackets"),
            ("host:", "the port is missing"),
            ("../x:80", "no Service"),
            ("ns/a?b:80", "no Service"),
            ("ns/#:80", "no Service"),
            ("Ns/svc:80", "no Service"),
            (&"h".repeat(254), "longer than any"),
            ("", "the host is missing"),
            (":4739", "the host is missing"),
            ("a/b/c:1", "NAMESPACE/NAME"),
            ("/b:1", "NAMESPACE/NAME"),
            ("ns/-a:80", "no Service"),
            ("a b:1", "no host has"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.why.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(.|[a-z0-9/:\\[\\]]){0,40}") {
            // What is read is written so that it is read again.
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(parse(&address.to_string()), Ok(address));
            }
        }
    }
}
