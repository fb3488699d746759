//! `RowBinary` as values (<https://clickhouse.com/docs/interfaces/formats/RowBinary>).

use std::net::{IpAddr, Ipv6Addr};

use flow::Name;

use crate::clickhouse::ClickHouseError;
use crate::query::Value;

/// Bytes of one text.
const LONGEST_TEXT: u64 = 16 << 20;

/// What a value is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// `UInt64`.
    Number,
    /// `Nullable(UInt64)`.
    NumberOrNone,
    /// `IPv6`.
    Address,
    /// `String`.
    Text,
}

/// Puts rows together from parts that are cut anywhere.
#[derive(Debug)]
pub(super) struct Decoder {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
    /// Where the next row begins.
    at: usize,
}

impl Decoder {
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        Self { cells, bytes: Vec::new(), at: 0 }
    }

    pub(super) fn push(&mut self, part: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(part);
    }

    /// The next row, if all of it has come.
    pub(super) fn row(&mut self) -> Result<Option<Vec<Value>>, ClickHouseError> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let before = rest.len();
        if before == 0 {
            return Ok(None);
        }
        let mut row = Vec::with_capacity(self.cells.len());
        for cell in &self.cells {
            match value(*cell, &mut rest)? {
                Some(value) => row.push(value),
                None => return Ok(None),
            }
        }
        self.at += before - rest.len();
        Ok(Some(row))
    }

    /// Nothing more comes.
    pub(super) fn end(&self) -> Result<(), ClickHouseError> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(ClickHouseError::Answer("it ends within a row".to_owned()))
    }
}

/// Nothing if it has not come.
fn value(cell: Cell, rest: &mut &[u8]) -> Result<Option<Value>, ClickHouseError> {
    Ok(match cell {
        Cell::Number => number(rest).map(Value::Number),
        Cell::NumberOrNone => match take::<1>(rest) {
            None => None,
            Some([0]) => number(rest).map(Value::Number),
            Some(_) => Some(Value::None),
        },
        Cell::Address => {
            take::<16>(rest).map(|octets| Value::address(Some(IpAddr::V6(Ipv6Addr::from(octets)))))
        }
        Cell::Text => return text(rest),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

/// A length of seven bits a byte, the lowest first, and so many bytes. What is not UTF-8, which
/// others may have stored, is replaced.
fn text(rest: &mut &[u8]) -> Result<Option<Value>, ClickHouseError> {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let Some([byte]) = take(rest) else { return Ok(None) };
        length |= u64::from(byte & 0x7f) << shift;
        if length > LONGEST_TEXT || shift > 21 {
            return Err(ClickHouseError::Answer("a text is longer than 16 MiB".to_owned()));
        }
        if byte & 0x80 == 0 {
            break;
        }
    }
    let Some((text, left)) = usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n))
    else {
        return Ok(None);
    };
    *rest = left;
    Ok(Some(Value::Text(Name::from(&*String::from_utf8_lossy(text)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [Cell; 4] = [Cell::Number, Cell::Text, Cell::NumberOrNone, Cell::Address];

    /// What ClickHouse 26.9 sends for `SELECT toUInt64(258), 'ä', CAST(NULL, 'Nullable(UInt64)'),
    /// toIPv6('10.0.0.1')`.
    const ROW: &[u8] = &[
        2, 1, 0, 0, 0, 0, 0, 0, 2, 0xc3, 0xa4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0,
        0, 1,
    ];

    #[test]
    fn rows_come_in_any_parts() {
        let expected = vec![
            Value::Number(258),
            Value::from("ä"),
            Value::None,
            Value::from("10.0.0.1".parse::<IpAddr>().unwrap()),
        ];
        let two = [ROW, ROW].concat();
        for size in 1..=two.len() {
            let mut decoder = Decoder::new(CELLS.to_vec());
            let mut rows = Vec::new();
            for part in two.chunks(size) {
                decoder.push(part);
                while let Some(row) = decoder.row().unwrap() {
                    rows.push(row);
                }
            }
            decoder.end().unwrap();
            assert_eq!(rows, [expected.clone(), expected.clone()], "{size}");
        }
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let mut decoder = Decoder::new(CELLS.to_vec());
        decoder.push(&ROW[..ROW.len() - 1]);
        assert_eq!(decoder.row().unwrap(), None);
        decoder.end().unwrap_err();
        for text in [[0xff; 5].as_slice(), &[0x80, 0x80, 0x80, 0x10]] {
            let mut decoder = Decoder::new(vec![Cell::Text]);
            decoder.push(text);
            decoder.row().unwrap_err();
        }
    }
}
