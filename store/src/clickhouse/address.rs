//! Where a ClickHouse server is.

use std::fmt;
use std::str::FromStr;

use config::address::is_url_host;

/// Where ClickHouse speaks HTTP, HTTPS, its own protocol, and that over TLS.
const HTTP: u16 = 8123;
const HTTPS: u16 = 8443;
const NATIVE: u16 = 9000;
const NATIVE_TLS: u16 = 9440;

/// A server's HTTP interface.
///
/// Read from `http://`, `https://`, `tcp://` or `tls://`, a host and perhaps a port. The latter two
/// are ClickHouse's own protocol, which Antrea's Flow Aggregator speaks and we do not: they mean the
/// HTTP interface of the same host, and [`Address::note`] says which port was taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    is_secure: bool,
    /// IPv6 addresses in brackets.
    host: String,
    port: u16,
    note: Option<String>,
    is_guess: bool,
}

/// Text that is no address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("it has no scheme")]
    Scheme,
    #[error("its scheme is not one of tcp, tls, http, https")]
    OtherScheme,
    #[error("it says who we are, which CH_USERNAME and CH_PASSWORD do")]
    User,
    #[error("it has a path or more behind the port")]
    Path,
    #[error("it has no host, or one with what no host has; IPv6 addresses are in brackets")]
    Host,
    #[error("its port is none")]
    Port,
}

impl Address {
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// What whoever wrote the address should know: that another port is used than it names.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether the port is one that nobody has told, nor is usual beside the one that was.
    pub fn is_guess(&self) -> bool {
        self.is_guess
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(NoAddress::Scheme)?;
        let (is_secure, is_native) = match scheme {
            "http" => (false, false),
            "https" => (true, false),
            "tcp" => (false, true),
            "tls" => (true, true),
            _ => return Err(NoAddress::OtherScheme),
        };
        let (host, asked) = host_and_port(rest)?;
        let usual = if is_secure { HTTPS } else { HTTP };
        let port = if is_native { usual } else { asked.unwrap_or(usual) };
        let mut address = Self { is_secure, host, port, note: None, is_guess: false };
        if is_native {
            let known = [address.port, NATIVE, NATIVE_TLS];
            address.is_guess = asked.is_some_and(|port| !known.contains(&port));
            address.note = Some(address.told(scheme));
        }
        Ok(address)
    }
}

impl Address {
    fn told(&self, scheme: &str) -> String {
        let (http, words) = if self.is_secure { ("https", "HTTPS") } else { ("http", "HTTP") };
        let told = format!("{words} is spoken in the place of {scheme}: {self} is used");
        if self.is_guess {
            format!("{told}; if {words} is at another port there, write {http}://HOST:PORT")
        } else {
            told
        }
    }
}

fn host_and_port(rest: &str) -> Result<(String, Option<u16>), NoAddress> {
    if rest.contains('@') {
        return Err(NoAddress::User);
    }
    if rest.contains(['/', '?', '#']) {
        return Err(NoAddress::Path);
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    if !is_url_host(host) {
        return Err(NoAddress::Host);
    }
    // Not with a sign, which the parser would take.
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let read = |port: &str| port.parse().ok().filter(|it| is_number(port) && *it > 0);
    let port = port.map(|port| read(port).ok_or(NoAddress::Port)).transpose()?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_protocol_means_http_on_the_same_host() {
        for (text, used, is_doubtful) in [
            (
                "tcp://clickhouse-clickhouse.flow-visibility.svc:9000",
                "http://clickhouse-clickhouse.flow-visibility.svc:8123",
                false,
            ),
            ("tcp://c", "http://c:8123", false),
            ("tcp://[fd00::1]:9000", "http://[fd00::1]:8123", false),
            ("tls://c:9440", "https://c:8443", false),
            ("tls://c", "https://c:8443", false),
            ("tcp://c:19000", "http://c:8123", true),
            ("tls://c:1", "https://c:8443", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), used, "{text}");
            let note = address.note().unwrap();
            assert!(note.contains(used), "{note}");
            assert_eq!(address.is_guess(), is_doubtful);
            assert_eq!(note.contains("another port"), is_doubtful, "{note}");
        }
    }

    #[test]
    fn http_is_taken_as_it_is() {
        for (text, used) in [
            ("http://c", "http://c:8123"),
            ("http://c:80", "http://c:80"),
            ("https://[::1]", "https://[::1]:8443"),
            ("https://c:443", "https://c:443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), used, "{text}");
            assert_eq!(address.note(), None);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("clickhouse:9000", NoAddress::Scheme),
            ("clickhouse://c:9000", NoAddress::OtherScheme),
            ("tcp://u:p@c:9000", NoAddress::User),
            ("http://c:8123/x", NoAddress::Path),
            ("http://c?database=d", NoAddress::Path),
            ("tcp://:9000", NoAddress::Host),
            ("tcp://", NoAddress::Host),
            ("http://a b", NoAddress::Host),
            ("http://fd00::1:8123", NoAddress::Host),
            ("http://[fd00::1", NoAddress::Host),
            ("http://[a]:8123", NoAddress::Host),
            ("tcp://a:9000,b:9000", NoAddress::Host),
            ("http://a%00", NoAddress::Host),
            ("http://ä", NoAddress::Host),
            ("http://c:+80", NoAddress::Port),
            ("tcp://c:0", NoAddress::Port),
            ("tcp://c:65536", NoAddress::Port),
            ("tcp://c:", NoAddress::Port),
        ] {
            assert_eq!(text.parse::<Address>(), Err(why), "{text}");
        }
    }
}
