//! Bytes from the switch, cut into messages.

use super::message::{self, ProtocolError};

/// A message has 65,535 bytes at most, and there is room for the beginning of the next ones.
const SIZE: usize = 2 * 65_536;

/// A buffer that never grows.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Box<[u8]>,
    /// What is filled and not taken.
    start: usize,
    end: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; SIZE].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Where more bytes can be put: 64 KiB at least, once all whole messages are taken.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes note that `count` bytes were put there.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Takes the next message, if all of it is there.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ProtocolError> {
        let rest = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some(message) = message::length(rest)?.and_then(|length| rest.get(..length)) else {
            return Ok(None);
        };
        self.start += message.len();
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of `length` bytes, recognised by what it is filled with.
    fn message(length: usize, filling: u8) -> Vec<u8> {
        let mut message = vec![filling; length];
        message[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        message
    }

    #[test]
    fn messages_come_out_whole_however_they_come_in() {
        let sent: Vec<_> = [8, 9, 65_535, 8, 65_535, 65_535, 1000, 8]
            .iter()
            .zip(1..)
            .map(|(&length, filling)| message(length, filling))
            .collect();
        let wire = sent.concat();
        for piece in [1, 7, 8, 4096, 65_536, SIZE] {
            let (mut inbox, mut rest, mut got) = (Inbox::new(), wire.as_slice(), Vec::new());
            while !rest.is_empty() {
                let space = inbox.space();
                let count = piece.min(rest.len()).min(space.len());
                assert!(count > 0, "no room with pieces of {piece}");
                space[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                inbox.filled(count);
                while let Some(message) = inbox.next().unwrap() {
                    got.push(message.to_vec());
                }
            }
            assert!(got == sent, "pieces of {piece}");
        }
    }

    #[test]
    fn a_length_less_than_the_header_ends_it() {
        let mut inbox = Inbox::new();
        inbox.space()[..4].copy_from_slice(&[6, 0, 0, 7]);
        inbox.filled(4);
        assert_eq!(inbox.next(), Err(ProtocolError::Length));
    }
}
