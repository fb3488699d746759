//! Blocks: the unit that is written, checked, and lost.
//!
//! ```text
//! magic 8 │ first record 8 │ records 4 │ length 4 │ CRC of the content 4 │ CRC of these 28 bytes 4 │ content
//! ```
//!
//! Numbers are in network byte order, CRCs are CRC-32C. The header has a CRC of its own: where the
//! content is damaged, the length still tells where the next block begins. Where the header is,
//! the next one is searched for by its magic, which no text in UTF-8 contains.

use std::io::{self, Read, Seek, SeekFrom};

use super::codec;

const MAGIC: [u8; 8] = *b"\xff\xfe\xf1fyke\x01";

pub(super) const HEADER: usize = 32;

/// No content is longer: a block is closed at [`BLOCK_SIZE`], and what is written last fits once
/// more.
pub(super) const LONGEST: usize = 2 * BLOCK_SIZE;

/// A block is closed once it has so many bytes.
pub(super) const BLOCK_SIZE: usize = 1 << 20;

/// Or so many records: what is read back is a batch of the size that sinks are used to.
pub(super) const BLOCK_RECORDS: u32 = 1024;

/// What precedes the content of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The number of the first record, counted from the log's beginning.
    pub(super) first: u64,
    pub(super) records: u32,
    pub(super) length: u32,
    content_crc: u32,
}

impl Header {
    pub(super) fn new(first: u64, records: u32, content: &[u8]) -> Self {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        Self { first, records, length, content_crc: crc32c::crc32c(content) }
    }

    /// The number of the record after the last.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.records.into())
    }

    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let parts: [&[u8]; 5] = [
            &MAGIC,
            &self.first.to_be_bytes(),
            &self.records.to_be_bytes(),
            &self.length.to_be_bytes(),
            &self.content_crc.to_be_bytes(),
        ];
        let (fields, crc) = bytes.split_at_mut(HEADER - 4);
        fields.copy_from_slice(&parts.concat());
        crc.copy_from_slice(&crc32c::crc32c(fields).to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let number =
            |at: usize| bytes.get(at..at + 4)?.first_chunk().map(|it| u32::from_be_bytes(*it));
        let (fields, crc) = bytes.split_at(HEADER - 4);
        let first = bytes.get(8..)?.first_chunk().map(|it| u64::from_be_bytes(*it))?;
        let header =
            Self { first, records: number(16)?, length: number(20)?, content_crc: number(24)? };
        let sound = bytes.starts_with(&MAGIC)
            && crc32c::crc32c(fields).to_be_bytes() == *crc
            && usize::try_from(header.length).is_ok_and(|length| length <= LONGEST)
            && first.checked_add(header.records.into()).is_some();
        sound.then_some(header)
    }
}

/// What a segment has at one place.
#[derive(Debug)]
pub(super) enum Found {
    /// A sound block; its content is in the buffer.
    Block(Header),
    /// A block whose header is sound and whose content is not.
    Damaged(Header),
    /// The end: nothing that begins with a sound header comes after this.
    End,
}

/// Reads the blocks of a segment.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    file: R,
    /// Where the next block should begin.
    at: u64,
    content: Vec<u8>,
    /// Bytes passed over in search of a header, the torn end of a segment included.
    skipped: u64,
}

impl<R: Read + Seek> Blocks<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, at: 0, content: Vec::new(), skipped: 0 }
    }

    /// Returns what comes next. Blocks that end at record `from` or before are passed over without
    /// being read.
    ///
    /// At the end of a segment that is still written to, it can be asked again later.
    pub(super) fn next(&mut self, from: u64) -> io::Result<Found> {
        loop {
            let Some(header) = self.header()? else { return Ok(Found::End) };
            let content = self.at + HEADER as u64;
            if header.end() > from {
                return self.block(header, content);
            }
            self.at = content + u64::from(header.length);
        }
    }

    /// The content of the block found last.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Bytes that belonged to no sound block, since last asked.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn block(&mut self, header: Header, at: u64) -> io::Result<Found> {
        let length = header.length as usize;
        self.content.clear();
        self.file.seek(SeekFrom::Start(at))?;
        let read = (&mut self.file).take(header.length.into()).read_to_end(&mut self.content)?;
        if read < length {
            // The end of the file is inside: there is no next block to be found behind it.
            return Ok(Found::End);
        }
        self.at = at + length as u64;
        if crc32c::crc32c(&self.content) == header.content_crc {
            Ok(Found::Block(header))
        } else {
            Ok(Found::Damaged(header))
        }
    }

    /// Moves to the next sound header, which should be where the last block ended.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER];
        if !self.read_at(self.at, &mut bytes)? {
            return Ok(None);
        }
        if let Some(header) = Header::decode(&bytes) {
            return Ok(Some(header));
        }
        self.search()
    }

    /// Looks for a header behind the place where there is none.
    fn search(&mut self) -> io::Result<Option<Header>> {
        let mut window = vec![0; 1 << 16];
        let mut begin = self.at + 1;
        loop {
            self.file.seek(SeekFrom::Start(begin))?;
            let mut read = 0;
            while read < window.len() {
                match self.file.read(window.get_mut(read..).unwrap_or_default()) {
                    Ok(0) => break,
                    Ok(more) => read += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            let bytes = window.get(..read).unwrap_or_default();
            let found = bytes.windows(HEADER).enumerate().find_map(|(offset, bytes)| {
                let header = Header::decode(bytes.first_chunk()?)?;
                Some((offset as u64, header))
            });
            if let Some((offset, header)) = found {
                self.skipped += begin + offset - self.at;
                self.at = begin + offset;
                return Ok(Some(header));
            }
            if read < window.len() {
                return Ok(None);
            }
            // The last bytes may be the beginning of a header.
            begin += (read - (HEADER - 1)) as u64;
        }
    }

    /// Returns whether there were as many bytes.
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(at))?;
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Reads a segment as a spool does, whatever its bytes are. For fuzzing; panics if something does
/// not hold.
#[doc(hidden)]
pub fn check_segment(bytes: &[u8]) {
    let mut blocks = Blocks::new(io::Cursor::new(bytes));
    let mut reader = codec::Reader::new();
    let (mut told, mut skipped, mut records) = (0, 0, Vec::new());
    loop {
        match blocks.next(0) {
            Ok(Found::Block(header)) => {
                records.clear();
                reader.read(blocks.content(), &mut records);
                told += HEADER + header.length as usize;
            }
            Ok(Found::Damaged(header)) => told += HEADER + header.length as usize,
            Ok(Found::End) => break,
            Err(error) => panic!("memory can be read: {error}"),
        }
        skipped += blocks.take_skipped();
        assert!(told as u64 + skipped <= bytes.len() as u64, "no byte counts twice");
        assert!(records.len() <= bytes.len(), "a record has bytes");
    }
}
