//! IPFIX as plainly as can be, for judging the crate by: bytes are pushed and cut by hand (RFC
//! 7011, section 3), and nothing of the crate is used.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

/// The length of a field whose every value has a length of its own (RFC 7011, section 7).
pub const VARIABLE: u16 = 0xffff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// `None` for a specifier without the enterprise bit.
    pub pen: Option<u32>,
    pub id: u16,
    pub length: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub id: u16,
    /// 0 for a Template that is no Options Template.
    pub scope_count: u16,
    pub fields: Vec<Field>,
}

/// The values of a record, in the order of its Template.
pub type Record = Vec<Vec<u8>>;

impl Template {
    pub fn new(id: u16, fields: &[Field]) -> Self {
        Self { id, scope_count: 0, fields: fields.to_vec() }
    }

    /// The fewest bytes of a record.
    pub fn shortest(&self) -> usize {
        let bytes = |field: &Field| if field.length == VARIABLE { 1 } else { field.length.into() };
        self.fields.iter().map(bytes).sum()
    }

    /// The Template Record (RFC 7011, section 3.4.1), or Options Template Record (3.4.2.2).
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(u16::try_from(self.fields.len()).unwrap().to_be_bytes());
        if self.scope_count > 0 {
            bytes.extend(self.scope_count.to_be_bytes());
        }
        for field in &self.fields {
            let bit = if field.pen.is_some() { 0x8000 } else { 0 };
            bytes.extend((field.id | bit).to_be_bytes());
            bytes.extend(field.length.to_be_bytes());
            bytes.extend(field.pen.into_iter().flat_map(u32::to_be_bytes));
        }
        bytes
    }

    /// A Data Record (RFC 7011, section 3.4.3). A short value may have a long length in front.
    pub fn record(&self, values: &Record, long: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, value) in self.fields.iter().zip(values) {
            if field.length == VARIABLE {
                let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
                let short = value.len() < 255 && !long;
                bytes.extend(if short { vec![low] } else { vec![255, high, low] });
            }
            bytes.extend(value);
        }
        bytes
    }

    /// Cuts the body of a Data Set into records, and what is left.
    pub fn cut(&self, mut body: &[u8]) -> (Vec<Record>, Vec<u8>) {
        let mut records = Vec::new();
        while body.len() >= self.shortest() {
            let mut record = Vec::new();
            for field in &self.fields {
                let length = match (field.length, body) {
                    (VARIABLE, [255, high, low, rest @ ..]) => {
                        body = rest;
                        u16::from_be_bytes([*high, *low])
                    }
                    (VARIABLE, [length, rest @ ..]) => {
                        body = rest;
                        u16::from(*length)
                    }
                    (length, _) => length,
                };
                let (value, rest) = body.split_at(length.into());
                record.push(value.to_vec());
                body = rest;
            }
            records.push(record);
        }
        (records, body.to_vec())
    }
}

/// A Set (RFC 7011, section 3.3.2).
pub fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap();
    [&id.to_be_bytes(), &length.to_be_bytes(), body].concat()
}

/// A message (RFC 7011, section 3.1), exported in second 9.
pub fn message(domain: u32, sequence: u32, sets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(16 + sets.len()).unwrap();
    let mut message = [10_u16.to_be_bytes(), length.to_be_bytes()].concat();
    for number in [9, sequence, domain] {
        message.extend(number.to_be_bytes());
    }
    message.extend(sets);
    message
}

/// What a message was cut into.
#[derive(Debug)]
pub struct Message {
    pub length: usize,
    pub sequence: u32,
    /// Set ID and body.
    pub sets: Vec<(u16, Vec<u8>)>,
}

/// Cuts messages that are back to back, each as long as it says.
pub fn each(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let [_, _, high, low, ..] = bytes {
        let (message, rest) = bytes.split_at(u16::from_be_bytes([*high, *low]).into());
        messages.push(message);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "whole messages");
    messages
}

/// Cuts messages that are back to back into their Sets.
pub fn cut(bytes: &[u8]) -> Vec<Message> {
    let sets = |mut body: &[u8]| {
        let mut sets = Vec::new();
        while let [id_high, id_low, high, low, ..] = body {
            let (set, rest) = body.split_at(u16::from_be_bytes([*high, *low]).into());
            sets.push((u16::from_be_bytes([*id_high, *id_low]), set[4..].to_vec()));
            body = rest;
        }
        assert!(body.is_empty(), "whole Sets");
        sets
    };
    let cut = |message: &[u8]| Message {
        length: message.len(),
        sequence: u32::from_be_bytes(message[8..12].try_into().unwrap()),
        sets: sets(&message[16..]),
    };
    each(bytes).into_iter().map(cut).collect()
}
