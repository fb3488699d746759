//! Messages back to back in a file, which is all an IPFIX File is (RFC 5655, section 4).

mod writer;

use std::io::{self, Read};

use crate::{framing::Framer, message::MessageError};

pub use writer::{FileWriter, WriteError};

/// The messages of an IPFIX File, read through one buffer whatever the size of the file.
#[derive(Debug)]
pub struct Messages<R> {
    file: R,
    framer: Framer,
}

/// Why a file has no next message, though it has not ended.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed; the file may be whole.
    #[error("file cannot be read")]
    Io(#[from] io::Error),
    /// Nothing after it can be found.
    #[error("file holds something that is not a message")]
    Message(#[from] MessageError),
    /// The file was cut, or is still being written.
    #[error("file ends {0} bytes into a message")]
    Truncated(usize),
}

impl<R: Read> Messages<R> {
    /// Reads the messages of `file`, which needs no buffer of its own.
    pub fn new(file: R) -> Self {
        Self { file, framer: Framer::new() }
    }

    /// Returns the next whole message, or `None` at the end of the file.
    ///
    /// The header's version and length are those of a message; nothing else has been looked at.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, FileError> {
        loop {
            if let Some(range) = self.framer.next()? {
                return Ok(Some(self.framer.message(range)));
            }
            match self.file.read(self.framer.room()) {
                Ok(0) => break,
                Ok(read) => self.framer.filled(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.framer.unread() {
            0 => Ok(None),
            read => Err(FileError::Truncated(read)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const MESSAGE: [u8; 16] = [
        0x00, 0x0a, 0x00, 0x10, // version 10, length 16: a message without Sets
        0x65, 0x53, 0xf1, 0x00, // export time
        0x00, 0x00, 0x00, 0x00, // sequence number
        0x00, 0x00, 0x00, 0x07, // Observation Domain
    ];

    #[test]
    fn a_file_is_its_messages() {
        let file = MESSAGE.repeat(10_000);
        let mut messages = Messages::new(file.as_slice());
        let mut count = 0;
        while let Some(message) = messages.next_message().unwrap() {
            assert_eq!(message, MESSAGE);
            count += 1;
        }
        assert_eq!(count, 10_000);
        assert!(messages.next_message().unwrap().is_none(), "the end stays the end");
    }

    #[test]
    fn a_file_that_ends_inside_a_message_says_so() {
        let file = [&MESSAGE[..], &MESSAGE[..15]].concat();
        let mut messages = Messages::new(file.as_slice());
        assert!(messages.next_message().unwrap().is_some());
        let error = messages.next_message().unwrap_err();
        assert_eq!(error.to_string(), "file ends 15 bytes into a message");
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let mut messages = Messages::new(&b"\x7fELF and so on"[..]);
        let error = messages.next_message().unwrap_err();
        assert!(matches!(error, FileError::Message(MessageError::Version(0x7f45))), "{error}");
    }
}
