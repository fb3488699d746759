//! Writes IPFIX Files (RFC 5655, section 4).

use std::io::{self, Write};

use crate::message::{MessageError, message_length};

/// An IPFIX File that is being written, message by message.
///
/// A file is one Transport Session: whoever reads it needs every Template before its records, and
/// nothing from elsewhere (RFC 5655, section 6.1). The writer sees to it that what it writes are
/// messages; which messages belong together is for its caller to know.
#[derive(Debug)]
pub struct FileWriter<W> {
    file: W,
    messages: u64,
    bytes: u64,
}

/// Why messages were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Some of what was to be written may be in the file.
    #[error("file cannot be written")]
    Io(#[from] io::Error),
    /// Nothing has been written.
    #[error("something that is not a message cannot be written to a file of messages")]
    Message(#[from] MessageError),
}

impl<W: Write> FileWriter<W> {
    /// Writes to `file`, with one call for each call to this.
    pub const fn new(file: W) -> Self {
        Self { file, messages: 0, bytes: 0 }
    }

    /// Writes whole messages, back to back, such as [`crate::encode::Encoder`] makes them.
    pub fn write(&mut self, messages: &[u8]) -> Result<(), WriteError> {
        let count = count(messages)?;
        self.file.write_all(messages)?;
        self.messages += count;
        self.bytes += messages.len() as u64;
        Ok(())
    }

    /// Has `file` pass on what it may have buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Returns how many messages have been written.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns how many bytes have been written: where in the file the next message goes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what is written to.
    pub fn into_inner(self) -> W {
        self.file
    }
}

/// Counts messages, and refuses what is not one.
fn count(messages: &[u8]) -> Result<u64, MessageError> {
    let (mut rest, mut count) = (messages, 0);
    while !rest.is_empty() {
        let Some(header) = rest.first_chunk() else {
            return Err(MessageError::Length { stated: 0, actual: rest.len() });
        };
        let stated = message_length(header)?;
        rest = rest
            .get(usize::from(stated)..)
            .ok_or(MessageError::Length { stated, actual: rest.len() })?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encode::{Encoder, Packing},
        file::Messages,
        registry::iana,
        template::{Template, TemplateId},
    };

    #[test]
    fn what_is_written_is_read() {
        let mut encoder = Encoder::new(7, 512, Packing::OneRecord);
        let mut bytes = Vec::new();
        let template = Template::new(TemplateId::MIN, [iana::OCTET_DELTA_COUNT]);
        encoder.template(0, &template, &mut bytes).unwrap();
        for octets in 0..1_000 {
            encoder.record(0, template.id, &mut bytes, |record| record.u64(octets)).unwrap();
        }
        let mut file = FileWriter::new(Vec::new());
        file.write(&bytes).unwrap();
        file.write(&bytes).unwrap();
        file.write(&[]).unwrap();
        file.flush().unwrap();
        assert_eq!((file.messages(), file.bytes()), (2_002, 2 * bytes.len() as u64));

        let file = file.into_inner();
        let mut messages = Messages::new(file.as_slice());
        let mut count = 0;
        while messages.next_message().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 2_002);
    }

    #[test]
    fn what_is_not_a_message_is_refused_before_anything_is_written() {
        let message = [0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        for rest in [&message[..15], &message[..1], b"text", &[0, 10, 0, 4]] {
            let mut file = FileWriter::new(Vec::new());
            let error = file.write(&[&message, rest].concat()).unwrap_err();
            assert!(matches!(error, WriteError::Message(_)), "{error}");
            assert_eq!((file.messages(), file.into_inner().len()), (0, 0));
        }
    }
}
