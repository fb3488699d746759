//! Rows of CSV as Antrea's: values between commas, labels in single quotes, no header.
//!
//! Nothing else is quoted there, and here neither. What names of Kubernetes never have, but a
//! hostile exporter may send, must not make a row or a column of its own: ends of lines, and commas
//! outside quotes, become spaces, and so does a quote that begins a value. In labels, which are
//! JSON, a single quote is written as JSON's `\u0027`: whoever reads the JSON gets the quote back.

use flow::{FlowRecord, S3Column, S3Columns};

use crate::value;

/// Makes rows of records.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<S3Column>,
    cluster: String,
}

impl Rows {
    pub(super) fn new(columns: S3Columns, cluster: &str) -> Self {
        Self { columns: columns.columns(), cluster: cluster.to_owned() }
    }

    /// Appends a row that is made at `now_s` (seconds since 1970), its end included.
    pub(super) fn append(&self, record: &FlowRecord, now_s: u64, out: &mut Vec<u8>) {
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            match *column {
                S3Column::Plain(access) => value::put(access, record, out, plain),
                S3Column::Labels(access) => value::put(access, record, out, quoted),
                S3Column::Cluster => plain(&self.cluster, out),
                S3Column::Inserted => value::number(out, now_s),
                S3Column::Empty => {}
            }
        }
        out.push(b'\n');
    }
}

fn plain(text: &str, out: &mut Vec<u8>) {
    let begins = out.len();
    let separates = |byte| matches!(byte, b',' | b'\n' | b'\r');
    out.extend(text.bytes().map(|byte| if separates(byte) { b' ' } else { byte }));
    if let Some(first @ b'\'') = out.get_mut(begins) {
        *first = b' ';
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in text.bytes() {
        match byte {
            b'\'' => out.extend_from_slice(b"\\u0027"),
            b'\n' | b'\r' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(record: &FlowRecord) -> String {
        let mut out = Vec::new();
        Rows::new(S3Columns::V2_7, "c").append(record, 7, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_makes_a_row_or_a_column_of_its_own() {
        let mut record = FlowRecord::default();
        record.source.pod = "'a,\"b\"\r\nc'd".into();
        record.source.labels = "{\"a\":\"it's,\r\nme\"}".into();
        let row = row(&record);
        assert_eq!(row.lines().count(), 1, "{row}");
        assert!(row.contains(", a \"b\"  c'd,"), "{row}");
        assert!(row.contains(",'{\"a\":\"it\\u0027s,  me\"}','',"), "{row}");
        // One comma is within quotes.
        assert_eq!(row.matches(',').count(), 53, "{row}");
    }

    #[test]
    fn a_row_ends_with_what_is_known_of_the_cluster_and_of_the_way_out() {
        let mut record = FlowRecord::default();
        record.exit.name = "out".into();
        assert!(row(&record).ends_with(",0,c,7,out,,\n"), "{}", row(&record));
    }
}
