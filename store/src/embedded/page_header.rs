//! What stands before a page of a column chunk: `PageHeader` of parquet-format, in Thrift's compact
//! protocol. The `parquet` crate writes it without a checksum.

use parquet::basic::{Encoding, PageType};

use super::pages::zigzag;

/// Kinds of fields, as the compact protocol numbers them.
const FALSE: u8 = 2;
const INT: u8 = 5;
const STRUCT: u8 = 12;

/// What a page is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub kind: PageType,
    pub encoding: Encoding,
    /// Entries of a dictionary, or rows.
    pub values: usize,
    /// Bytes before they were compressed.
    pub uncompressed: usize,
}

impl Header {
    /// Adds the page, of which this is stored.
    pub(super) fn write(&self, stored: &[u8], out: &mut Vec<u8>) {
        let mut fields = Fields { out, last: 0 };
        fields.int(1, self.kind as i64);
        fields.int(2, length(self.uncompressed));
        fields.int(3, length(stored.len()));
        // The format has the checksum signed.
        fields.int(4, i64::from(crc32fast::hash(stored).cast_signed()));
        if self.kind == PageType::DICTIONARY_PAGE {
            let mut dictionary = fields.begin(7);
            dictionary.int(1, length(self.values));
            dictionary.int(2, self.encoding as i64);
            dictionary.field(3, FALSE); // not sorted
            dictionary.end();
        } else {
            let mut data = fields.begin(5);
            data.int(1, length(self.values));
            data.int(2, self.encoding as i64);
            data.int(3, Encoding::RLE as i64); // of definition levels
            data.int(4, Encoding::RLE as i64); // of repetition levels
            data.end();
        }
        fields.end();
        out.extend_from_slice(stored);
    }
}

/// A row group is bounded by far less.
fn length(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Fields of a struct, which are told by how much their numbers grow.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    last: u8,
}

impl Fields<'_> {
    fn field(&mut self, number: u8, kind: u8) {
        self.out.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    fn int(&mut self, number: u8, value: i64) {
        self.field(number, INT);
        zigzag(value, self.out);
    }

    fn begin(&mut self, number: u8) -> Fields<'_> {
        self.field(number, STRUCT);
        Fields { out: self.out, last: 0 }
    }

    fn end(self) {
        self.out.push(0);
    }
}
