//! How values are read that several sections have, or that only an aggregator has.

use std::fmt;
use std::net::SocketAddr;

use config::{Raw, Reading, Secret, Severity, Wrong, read};
use flow::{NoUid, Uid};

/// Items of a list at most.
const MOST_ITEMS: usize = 16;

/// Any text.
pub(super) fn text(raw: &Raw) -> Result<String, &'static str> {
    read::text(raw).map(str::to_owned)
}

/// What carries IPFIX to this aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tls,
    Tcp,
    Udp,
}

impl Transport {
    pub(super) const ALL: [Self; 3] = [Self::Tls, Self::Tcp, Self::Udp];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where IPFIX is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub transport: Transport,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.transport.word())
    }
}

/// `ADDRESS:PORT:PROTOCOL`.
pub(super) fn listeners(raw: &Raw) -> Reading<Vec<Listener>> {
    items(raw, "it is not ADDRESS:PORT:PROTOCOL with one of tls, tcp, udp", |item| {
        let (address, word) = item.rsplit_once(':')?;
        let transport = Transport::ALL.into_iter().find(|it| it.word() == word)?;
        Some(Listener { address: address.parse().ok()?, transport })
    })
}

pub(super) fn sockets(raw: &Raw) -> Reading<Vec<SocketAddr>> {
    items(raw, "it is not an address and a port", |item| item.parse().ok())
}

/// Reads each item of a list, and tells all that are none.
fn items<T>(raw: &Raw, why: &str, read: impl Fn(&str) -> Option<T>) -> Reading<Vec<T>> {
    let texts = match read::list(raw) {
        Ok(texts) if texts.len() > MOST_ITEMS => {
            return Err::<Vec<T>, _>(format!("there are more than {MOST_ITEMS}")).into();
        }
        Ok(texts) => texts,
        Err(why) => return Err::<Vec<T>, _>(why).into(),
    };
    let mut values = Vec::new();
    let mut wrong = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if let Some(value) = read(text) {
            values.push(value);
        } else {
            let why = why.to_owned();
            wrong.push(Wrong { severity: Severity::Error, item: Some(index), why });
        }
    }
    Reading { value: Some(values), wrong }
}

pub(super) fn uuid(raw: &Raw) -> Result<Uid, String> {
    read::text(raw)?.parse().map_err(|why: NoUid| why.to_string())
}

/// What is said of a secret that is not [sendable](is_sendable). A file that was made a Secret may
/// end with the end of its line.
pub(super) const NOT_SENDABLE: &str = "has characters that cannot be sent over HTTP, such as the \
    end of a line: only printable ASCII can";

/// Whether it can be in a header of HTTP.
pub(super) fn is_sendable(secret: &Secret) -> bool {
    secret.reveal().bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

pub(super) fn secret(raw: &Raw) -> Result<Secret, &'static str> {
    text(raw).map(Secret::new)
}
