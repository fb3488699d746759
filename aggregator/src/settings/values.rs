//! How values are read that several sections have, or that only an aggregator has.

use std::fmt;
use std::net::SocketAddr;

use config::{Raw, Reading, Secret, Severity, Wrong, read};

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
        match read(text) {
            Some(value) => values.push(value),
            None => {
                let why = why.to_owned();
                wrong.push(Wrong { severity: Severity::Error, item: Some(index), why });
            }
        }
    }
    Reading { value: Some(values), wrong }
}

/// A UUID (RFC 9562), written with small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    pub fn parse(text: &str) -> Option<Self> {
        let dashes = [8, 13, 18, 23];
        let is_in_place = |(at, byte): (usize, u8)| (byte == b'-') == dashes.contains(&at);
        let is_digit = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
        if text.len() != 36 || !text.bytes().all(is_digit) || !text.bytes().enumerate().all(is_in_place)
        {
            return None;
        }
        let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

pub(super) fn uuid(raw: &Raw) -> Result<Uuid, &'static str> {
    Uuid::parse(read::text(raw)?).ok_or("it is no UUID")
}

pub(super) fn secret(raw: &Raw) -> Result<Secret, &'static str> {
    text(raw).map(Secret::new)
}
