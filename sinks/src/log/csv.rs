//! Rows of Antrea's flow log: values between commas, without a header.
//!
//! Antrea quotes nothing, and neither do we unless asked to. A value that has a comma or the end of
//! a line in it, which no name of an object can have but a hostile exporter may send, would make
//! other columns of the rest; such characters become spaces.

use flow::{Access, FlowRecord, LogColumn};

use super::Csv;
use crate::value;

/// Makes rows of records.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<LogColumn>,
    pretty: bool,
    quote: bool,
}

impl Rows {
    pub(super) fn new(csv: &Csv) -> Self {
        Self { columns: csv.columns.columns(), pretty: csv.pretty, quote: csv.quote }
    }

    /// Appends a row, its end included.
    pub(super) fn append(&self, record: &FlowRecord, out: &mut Vec<u8>) {
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            self.value(record, column, out);
        }
        out.push(b'\n');
    }

    fn value(&self, record: &FlowRecord, column: &LogColumn, out: &mut Vec<u8>) {
        let access = match column {
            LogColumn::Empty => return,
            LogColumn::Plain(access)
            | LogColumn::Protocol(access)
            | LogColumn::Action(access)
            | LogColumn::PolicyType(access) => access,
        };
        if let Access::U8 { get, .. } = access
            && self.pretty
            && let Some(name) = name(column, get(record))
        {
            return out.extend_from_slice(name.as_bytes());
        }
        value::put(*access, record, out, |text, out| self.text(text, out));
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) {
        let is_special = |byte: &u8| matches!(byte, b',' | b'\n' | b'\r' | b'"');
        if !text.bytes().any(|byte| is_special(&byte)) {
            return out.extend_from_slice(text.as_bytes());
        }
        if self.quote {
            out.push(b'"');
            for byte in text.bytes() {
                // RFC 4180, section 2.
                out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
            }
            out.push(b'"');
        } else {
            let separates = |byte| matches!(byte, b',' | b'\n' | b'\r');
            out.extend(text.bytes().map(|byte| if separates(byte) { b' ' } else { byte }));
        }
    }
}

/// The name of a number in its column, as Antrea prints it, and of the fourth kind of policy as it would
/// if it did.
fn name(column: &LogColumn, number: u8) -> Option<&'static str> {
    Some(match column {
        LogColumn::Plain(_) | LogColumn::Empty => return None,
        LogColumn::Protocol(_) => match number {
            1 => "ICMP",
            2 => "IGMP",
            6 => "TCP",
            17 => "UDP",
            58 => "IPv6-ICMP",
            132 => "SCTP",
            _ => "Unknown Protocol",
        },
        LogColumn::Action(_) => match number {
            0 => "",
            1 => "Allow",
            2 => "Drop",
            3 => "Reject",
            _ => "Invalid",
        },
        LogColumn::PolicyType(_) => match number {
            0 => "",
            1 => "K8sNetworkPolicy",
            2 => "AntreaNetworkPolicy",
            3 => "AntreaClusterNetworkPolicy",
            4 => "K8sClusterNetworkPolicy",
            _ => "Invalid",
        },
    })
}

#[cfg(test)]
mod tests {
    use flow::LogColumns;

    use super::*;

    fn row(pretty: bool, quote: bool, record: &FlowRecord) -> String {
        let mut out = Vec::new();
        Rows::new(&Csv { columns: LogColumns::V1_12, pretty, quote }).append(record, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn hostile() -> FlowRecord {
        let mut record = FlowRecord::default();
        record.source.pod = "a,\"b\"\r\nc".into();
        record
    }

    #[test]
    fn a_value_never_makes_a_column_or_a_row_of_its_own() {
        let plain = row(true, false, &hostile());
        assert_eq!((plain.matches(',').count(), plain.lines().count()), (25, 1), "{plain}");
        assert!(plain.contains(",a \"b\"  c,"), "{plain}");
        let quoted = row(true, true, &hostile());
        assert!(quoted.contains(",\"a,\"\"b\"\"\r\nc\","), "{quoted}");
    }

    #[test]
    fn numbers_have_names_if_asked_for() {
        let mut record = FlowRecord::default();
        record.key.protocol = 58;
        record.ingress.policy_type = 4;
        record.egress.policy_type = 5;
        record.ingress.action = 3;
        record.egress.action = 4;
        let pretty = row(true, false, &record);
        let numbers = row(false, false, &record);
        let column = |row: &str, place: usize| {
            row.trim_end().split(',').nth(place - 1).unwrap_or_default().to_owned()
        };
        for (place, name, number) in [
            (7, "IPv6-ICMP", "58"),
            (20, "Reject", "3"),
            (21, "K8sClusterNetworkPolicy", "4"),
            (25, "Invalid", "4"),
            (26, "Invalid", "5"),
        ] {
            assert_eq!(column(&pretty, place), name, "{pretty}");
            assert_eq!(column(&numbers, place), number, "{numbers}");
        }
        record.key.protocol = 0;
        assert_eq!(column(&row(true, false, &record), 7), "Unknown Protocol");
    }
}
