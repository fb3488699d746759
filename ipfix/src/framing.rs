//! Whole messages out of a stream of bytes.
//!
//! Reading a message header and then its body costs two system calls per message, and a common
//! exporter sends one record per message. So bytes are taken as they come, as many as there are,
//! and cut into messages here. Nobody reads or waits in this module: the blocking reader of
//! files and the asynchronous one of connections share it.

use std::ops::Range;

use crate::message::{MessageError, message_length};

/// Four of the longest messages there are (RFC 7011, section 3.1). One would do, but each read would
/// then bring one at most. A peer with little to say never touches the pages behind.
const CAPACITY: usize = 4 * LONGEST;

/// As long as any message, and so what there is always room for.
const LONGEST: usize = u16::MAX as usize + 1;

/// Bytes that have been read, of which the first so many have been handed out.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Framer {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; CAPACITY].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Takes the next message off, if it is whole, and says where [`Self::message`] finds it.
    pub(crate) fn next(&mut self) -> Result<Option<Range<usize>>, MessageError> {
        let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some(header) = unread.first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(message_length(header)?);
        if unread.len() < length {
            return Ok(None);
        }
        let start = self.start;
        self.start += length;
        Ok(Some(start..self.start))
    }

    /// Returns a message taken off since the last call of [`Self::room`].
    pub(crate) fn message(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Makes room behind what is unread, and returns it. There is always some: only a message that
    /// is not whole is left unread, and the buffer has room for the longest.
    ///
    /// What is unread is moved only where little room is left. It is half of the longest message on
    /// average, and a read may bring no more than two.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let is_all_read = self.start == self.end;
        if is_all_read || self.buffer.len() - self.end < LONGEST {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Notes that `read` bytes of [`Self::room`] have been filled.
    pub(crate) fn filled(&mut self, read: usize) {
        self.end = self.buffer.len().min(self.end + read);
    }

    /// Returns how many bytes of an incomplete message there are.
    pub(crate) const fn unread(&self) -> usize {
        self.end - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u16) -> Vec<u8> {
        let mut bytes = vec![0xab; usize::from(length)];
        bytes[..2].copy_from_slice(&10_u16.to_be_bytes());
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Feeds `stream` in pieces of at most `step` bytes, and returns the messages that come out.
    fn cut(stream: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut framer = Framer::new();
        let mut messages = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let room = framer.room();
            let count = step.min(room.len()).min(rest.len());
            let (now, later) = rest.split_at(count);
            room[..count].copy_from_slice(now);
            rest = later;
            framer.filled(count);
            while let Some(range) = framer.next().unwrap() {
                messages.push(framer.message(range).to_vec());
            }
        }
        assert_eq!(framer.unread(), 0);
        messages
    }

    #[test]
    fn messages_come_out_whole_however_the_bytes_come_in() {
        let messages = [message(16), message(700), message(u16::MAX), message(17)];
        let stream = messages.concat();
        for step in [1, 3, 16, 1000, 65_535] {
            assert_eq!(cut(&stream, step), messages, "in pieces of {step}");
        }
    }

    #[test]
    fn there_is_room_for_the_longest_message_wherever_the_last_one_ended() {
        for length in [16, 700, 9001, u16::MAX] {
            let message = message(length);
            let (header, rest) = message.split_at(4);
            let mut framer = Framer::new();
            fill(&mut framer, header);
            for _ in 0..2 * CAPACITY / message.len() {
                fill(&mut framer, rest);
                // All that is left is the beginning of the next.
                fill(&mut framer, header);
                let range = framer.next().unwrap().unwrap();
                assert!(framer.message(range) == message);
                assert_eq!((framer.next(), framer.unread()), (Ok(None), 4));
            }
            fill(&mut framer, rest);
            framer.next().unwrap().unwrap();
            // Where all has been handed out nothing stays behind: few pages are ever touched.
            assert_eq!(framer.room().len(), CAPACITY);
        }
    }

    #[track_caller]
    fn fill(framer: &mut Framer, bytes: &[u8]) {
        let room = framer.room();
        assert!(room.len() > usize::from(u16::MAX));
        room[..bytes.len()].copy_from_slice(bytes);
        framer.filled(bytes.len());
    }

    #[test]
    fn what_cannot_be_a_message_is_refused_as_soon_as_its_length_is_there() {
        let mut framer = Framer::new();
        framer.room()[..4].copy_from_slice(b"GET ");
        framer.filled(3);
        assert_eq!(framer.next(), Ok(None));
        framer.filled(1);
        assert_eq!(framer.next(), Err(MessageError::Version(0x4745)));
    }
}
