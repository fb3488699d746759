//! The crate `ipfix`, used as anybody would.

use std::hint::black_box;

use benches::workload::{EXPORT_TIME, Messages, Packed, Record, template};
use ipfix::{
    decode::{DataRecord, Limits, Session, Types},
    encode::Encoder,
    template::{Template, TemplateId},
    value::Value,
};

use super::fingerprint::Fingerprint;

/// A collector that has seen the Template of some messages, which are to follow.
pub(super) struct Decoding<'a> {
    session: Session<Types>,
    messages: &'a Messages,
}

impl<'a> Decoding<'a> {
    pub(super) fn of(messages: &'a Messages) -> Self {
        let mut session = Session::new(Limits::default());
        let definition = messages.iter().next().expect("it comes first");
        session.decode(definition, Types::of, |_, _, _| ()).expect("it is sound");
        Self { session, messages }
    }

    fn each_value(&mut self, mut visit: impl FnMut(Value<'_>)) {
        for message in self.messages.iter().skip(1) {
            let visit = |types: &Types, _: &Template, record: DataRecord<'_>| {
                record.typed(types, &mut visit);
            };
            self.session.decode(message, Types::of, visit).expect("it is sound");
        }
    }

    /// Decodes every field of every record.
    pub(super) fn decode(&mut self) {
        self.each_value(|value| _ = black_box(&value));
    }

    /// Returns what all values together are.
    pub(super) fn fingerprint(&mut self) -> Fingerprint {
        let mut all = Fingerprint::default();
        self.each_value(|value| match value {
            Value::Unsigned(number) => all.number(number),
            Value::Time(time) => all.number(time.as_secs()),
            Value::Ipv4(address) => all.address(address),
            Value::String(text) => all.text(text),
            other => panic!("no record has {other:?}"),
        });
        all
    }
}

/// An exporter that is about to send its Template, and the buffer it sends from.
pub(super) struct Encoding {
    encoder: Encoder,
    out: Vec<u8>,
}

impl Encoding {
    pub(super) fn new() -> Self {
        let (mut encoder, mut out) = (Packed::Stream.encoder(), Vec::new());
        encoder.template(EXPORT_TIME, &template(), &mut out).expect("the Template fits");
        Self { encoder, out }
    }

    /// Encodes `records` in messages as long as can be, and hands out each as soon as it is full.
    pub(super) fn encode(&mut self, records: &[Record], mut visit: impl FnMut(&[u8])) {
        let Self { encoder, out } = self;
        for record in records {
            send(out, &mut visit);
            encoder
                .record(EXPORT_TIME, TemplateId::MIN, out, |writer| record.encode(writer))
                .expect("every record fits");
        }
        send(out, &mut visit);
        encoder.finish(out);
        send(out, &mut visit);
    }

    /// Returns all messages in one piece.
    pub(super) fn bytes(mut self, records: &[Record]) -> Vec<u8> {
        let mut all = Vec::new();
        self.encode(records, |messages| all.extend_from_slice(messages));
        all
    }
}

fn send(out: &mut Vec<u8>, visit: &mut impl FnMut(&[u8])) {
    if !out.is_empty() {
        visit(out);
        out.clear();
    }
}
