//! What an object is stored in: pieces of one length, which are never copied.

use std::io::{self, Write};

use bytes::Bytes;

/// One request carries so much. S3 refuses parts of less than 5 MiB, and takes 10,000 of them.
pub(super) const PART: usize = 8 << 20;

/// Bytes in parts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    full: Vec<Bytes>,
    open: Vec<u8>,
}

impl Parts {
    pub(super) fn len(&self) -> usize {
        self.full.len() * PART + self.open.len()
    }

    /// All parts; there is one at least.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        if self.full.is_empty() || !self.open.is_empty() {
            self.full.push(self.open.into());
        }
        self.full
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART - self.open.len();
        let (now, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.open.extend_from_slice(now);
        if self.open.len() == PART {
            self.full.push(std::mem::take(&mut self.open).into());
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_but_the_last_have_one_length() {
        let bytes: Vec<u8> = (0..251).cycle().take(PART * 2 + 5).collect();
        let mut parts = Parts::default();
        for piece in bytes.chunks(999_983) {
            parts.write_all(piece).unwrap();
        }
        assert_eq!(parts.len(), bytes.len());
        let parts = parts.finish();
        assert_eq!(parts.iter().map(Bytes::len).collect::<Vec<_>>(), [PART, PART, 5]);
        assert_eq!(parts.concat(), bytes);
        assert_eq!(Parts::default().finish(), [Bytes::new()]);
        let mut whole = Parts::default();
        whole.write_all(&bytes[..PART]).unwrap();
        assert_eq!(whole.finish().len(), 1);
    }
}
