//! Netlink's framing: several messages in one datagram, each with a header of 16 bytes.

use super::attributes::put;
use super::{
    entry::{Kind, Tuple},
    parse::{CTA_TUPLE_ORIG, CTA_ZONE, put_tuple},
};

const HEADER: usize = 16;
/// `struct nfgenmsg` of a question about any address family, version 0.
const ANY_FAMILY: [u8; 4] = [0; 4];
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
/// On an event: the connection is new.
const NLM_F_CREATE: u16 = 0x400;

const CTNETLINK: u16 = 1 << 8;
const IPCTNL_MSG_CT_NEW: u16 = CTNETLINK;
const IPCTNL_MSG_CT_GET: u16 = CTNETLINK | 1;
const IPCTNL_MSG_CT_DELETE: u16 = CTNETLINK | 2;

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl Message<'_> {
    /// What an event is about; `None` if it is no conntrack event.
    pub(crate) fn event(&self) -> Option<Kind> {
        match self.kind {
            IPCTNL_MSG_CT_NEW if self.flags & NLM_F_CREATE != 0 => Some(Kind::New),
            IPCTNL_MSG_CT_NEW => Some(Kind::Update),
            IPCTNL_MSG_CT_DELETE => Some(Kind::Destroy),
            _ => None,
        }
    }

    pub(crate) fn is_dump_entry(&self) -> bool {
        self.kind == IPCTNL_MSG_CT_NEW
    }

    /// The error number of `NLMSG_ERROR` and `NLMSG_DONE`, as a positive number; 0 is success.
    ///
    /// A dump that fails after its first chunk says so in `NLMSG_DONE`.
    pub(crate) fn error_number(&self) -> i32 {
        self.body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code).wrapping_neg())
    }
}

/// Walks the messages of a datagram. A length that lies ends the walk with an `Err`.
#[derive(Debug)]
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, ()>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = split(self.0);
        let length = message.map_or(usize::MAX, |message| HEADER + message.body.len());
        self.0 = length
            .checked_next_multiple_of(4)
            .and_then(|length| self.0.get(length..))
            .unwrap_or_default();
        Some(message.ok_or(()))
    }
}

fn split(bytes: &[u8]) -> Option<Message<'_>> {
    let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *bytes.first_chunk::<HEADER>()?;
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    Some(Message {
        kind: u16::from_ne_bytes([k0, k1]),
        flags: u16::from_ne_bytes([f0, f1]),
        sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
        body: bytes.get(HEADER..length)?,
    })
}

/// Asks for all connections of one zone or of all, of both address families.
///
/// Kernels before 6.8 do not look at the zone and answer with the whole table, so the receiver
/// has to look again.
pub(crate) fn dump_request(zone: Option<u16>, sequence: u32) -> Vec<u8> {
    let mut request = header(NLM_F_REQUEST | NLM_F_DUMP, sequence);
    request.extend(ANY_FAMILY);
    if let Some(zone) = zone {
        put(&mut request, CTA_ZONE, &zone.to_be_bytes());
    }
    finished(request)
}

/// Asks for one connection.
pub(super) fn look_up_request(zone: u16, original: &Tuple, sequence: u32) -> Vec<u8> {
    let family = if original.source().is_ipv6() { AF_INET6 } else { AF_INET };
    let mut request = header(NLM_F_REQUEST, sequence);
    request.extend([family, 0, 0, 0]);
    put_tuple(&mut request, CTA_TUPLE_ORIG, original);
    put(&mut request, CTA_ZONE, &zone.to_be_bytes());
    finished(request)
}

/// The header of a question to the kernel, but for its length.
fn header(flags: u16, sequence: u32) -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        &[0; 4],
        &IPCTNL_MSG_CT_GET.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &[0; 4], // to the kernel
    ];
    parts.concat()
}

/// Fills in how long the message has become.
fn finished(mut request: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    if let Some(place) = request.first_chunk_mut() {
        *place = length.to_ne_bytes();
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32, kind: u16, body: &[u8]) -> Vec<u8> {
        let header = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        [header, body.to_vec()].concat()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Option<(u16, usize)>]) {
        let got: Vec<_> = Messages(bytes)
            .map(|message| message.ok().map(|message| (message.kind, message.body.len())))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn messages_follow_each_other_on_multiples_of_four() {
        let bytes = [message(17, 7, &[1, 0, 0, 0]), message(16, 8, &[])].concat();
        check(&bytes, &[Some((7, 1)), Some((8, 0))]);
    }

    #[test]
    fn a_length_that_lies_ends_the_walk() {
        for length in [0, 1, 15, 21, u32::MAX] {
            check(&message(length, 7, &[0; 4]), &[None]);
        }
        check(&[0; 15], &[None]);
    }

    #[test]
    fn a_dump_request_is_a_well_formed_message() {
        let request = dump_request(Some(65520), 9);
        let message = Messages(&request).next().unwrap().unwrap();
        assert_eq!((message.kind, message.flags, message.sequence), (0x101, 0x301, 9));
        assert_eq!(message.body[8..10], [0xff, 0xf0]);
        assert_eq!(Messages(&request).count(), 1);
        assert_eq!(dump_request(None, 9).len(), HEADER + 4);
    }
}
