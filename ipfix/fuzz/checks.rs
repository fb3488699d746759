//! What must hold of any bytes whatever.
//!
//! Each function is a fuzz target, and also replays its corpus in an ordinary test
//! (`ipfix/tests/corpus.rs`). It panics if something does not hold; that the decoder itself neither
//! panics nor runs out of memory holds by getting to the end.

#![allow(dead_code, reason = "each fuzz target uses one of these")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what does not hold must panic")]

use std::time::{Duration, Instant};

use ipfix::{
    decode::{
        DataRecord, Limits, Rules, Session, Summary, Types, Waiting,
        list::{List, Lists, SubTemplateList, Walked},
    },
    encode::{Encoder, Packing, RecordWriter},
    file::{FileWriter, Messages},
    registry::{DataType, Known, Registry, iana},
    template::{FieldSpecifier, Template, TemplateId, VARIABLE},
    type_information::{self, TypeInformation},
    value::Value,
};

/// How deep lists are read here.
const DEPTH: u8 = 4;

const LIMITS: Limits = Limits { templates: 16, fields_per_template: 64, domains: 4 };

/// One message, which may say of its own length what it likes.
pub(crate) fn message(data: &[u8]) {
    let mut session = Session::new(LIMITS);
    let told = decode(&mut session, None, data);
    let again = decode(&mut Session::new(LIMITS), None, data);
    assert_eq!(told, again, "decoding has no memory but the session");
    // What a message says of its length must not keep the rest of it from being looked at.
    let message = framed(data, 1, 0);
    decode(&mut session, None, &message).ok();
}

/// Many messages of one session, under the rules of every transport.
pub(crate) fn session(data: &[u8]) {
    let waiting = Waiting { bytes: 4_096, time: Duration::from_secs(5) };
    let all_rules = [Rules::default(), Rules::stream(), Rules { waiting, ..Rules::datagrams() }];
    for rules in all_rules {
        session_under(rules, data);
    }
}

fn session_under(rules: Rules, mut data: &[u8]) {
    let mut session = Session::with_rules(LIMITS, rules);
    let mut now = Instant::now();
    let (mut waiting, mut done) = (0_u64, 0_u64);
    while let Some((&[domain, sequence, minutes, length], rest)) = data.split_first_chunk() {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(length)));
        data = rest;
        now += Duration::from_secs(15 * u64::from(minutes));
        let message = framed(body, domain % 6, sequence);
        if let Ok(summary) = decode(&mut session, Some(now), &message) {
            waiting += u64::from(summary.sets_waiting);
            done += u64::from(summary.sets_resumed) + u64::from(summary.sets_given_up);
            assert!(done <= waiting, "what did not wait cannot be resumed");
            if summary.duplicate {
                assert_eq!((summary.records, summary.templates), (0, 0));
            }
        } else {
            // The counters of a message that broke off are lost with it.
            (waiting, done) = (u64::MAX / 2, 0);
        }
    }
}

/// Puts a header in front of Sets.
fn framed(sets: &[u8], domain: u8, sequence: u8) -> Vec<u8> {
    let sets = sets.get(..sets.len().min(65_519)).unwrap_or_default();
    let [high, low] = u16::try_from(16 + sets.len()).unwrap().to_be_bytes();
    let header = [0, 10, high, low, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 0, 0, domain];
    [&header, sets].concat()
}

/// Decodes a message, and looks at everything there is to see in it.
fn decode(
    session: &mut Session<Option<TypeInformation>>,
    now: Option<Instant>,
    message: &[u8],
) -> Result<Summary, ipfix::message::MessageError> {
    let mut visited = 0;
    let visit = |types: &Option<TypeInformation>, template: &Template, record: DataRecord<'_>| {
        look(template, &record);
        if let Some(types) = types {
            types.read(&record).ok();
        }
        visited += 1;
    };
    let summary = match now {
        Some(now) => session.decode_at(now, message, TypeInformation::of, visit),
        None => session.decode(message, TypeInformation::of, visit),
    }?;
    assert!(usize::try_from(summary.records).unwrap() <= message.len());
    assert!(summary.records <= visited);
    Ok(summary)
}

fn look(template: &Template, record: &DataRecord<'_>) {
    assert_eq!(record.values().len(), template.fields.len());
    let one_by_one = record.fields().map(|(_, field, value)| {
        let data_type = field.element().map_or(DataType::OctetArray, |element| element.data_type);
        Value::decode(data_type, value)
    });
    let mut together = Vec::new();
    record.typed(&Types::of(template), |value| together.push(value));
    // As text, since what is not a number is not itself.
    assert_eq!(format!("{together:?}"), format!("{:?}", one_by_one.collect::<Vec<_>>()));
    for (index, field, value) in record.fields() {
        assert_eq!(record.value(index), Some(value));
        assert!(field.length == VARIABLE || value.len() == usize::from(field.length));
        let Some(element) = field.element() else { continue };
        let _typed: Value<'_> = Value::decode(element.data_type, value);
        if element.data_type.is_list() {
            let lists = record.lists(DEPTH);
            let walked = lists.walk(element.data_type, value, |_, inner| {
                assert!(inner.len() <= value.len());
            });
            assert!(usize::try_from(walked.lists).unwrap() <= 1 + value.len());
            let shallow = record.lists(0).walk(element.data_type, value, |_, _| ());
            assert_eq!(shallow, Walked { too_deep: 1, ..Walked::default() });
        }
    }
}

/// A file of messages: what is read of it can be written again.
pub(crate) fn file(data: &[u8]) {
    let mut messages = Messages::new(data);
    let mut copy = FileWriter::new(Vec::new());
    let whole = loop {
        match messages.next_message() {
            Ok(Some(message)) => copy.write(message).expect("a message is a message"),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let copy = copy.into_inner();
    assert!(data.starts_with(&copy));
    assert!(!whole || copy.len() == data.len());
}

/// A file of elements: it is taken as a whole or not at all, and twice is as good as once.
pub(crate) fn registry(data: &[u8]) {
    let Ok(csv) = std::str::from_utf8(data) else { return };
    let mut registry = Registry::new();
    match registry.add_csv(csv) {
        Ok(count) => {
            // Elements of IANA bring their reverse ones along.
            let added = registry.added();
            assert!((count..=2 * count).contains(&added));
            assert_eq!(registry.add_csv(csv), Ok(count));
            assert_eq!(registry.added(), added);
        }
        Err(error) => {
            assert!((1..=100).contains(&error.0.len()));
            assert_eq!(registry.added(), 0);
        }
    }
}

/// Records that describe elements: what is learned of one can be told again.
pub(crate) fn type_information(data: &[u8]) {
    let template = type_information::template(TemplateId::MIN);
    let mut registry = Registry::with_room(8);
    for definition in described(&template, &framed_set(TemplateId::MIN, data)) {
        let told = written(&template, |record| {
            type_information::write(&Known::from(&definition), record);
        });
        assert_eq!(described(&template, &told).as_slice(), std::slice::from_ref(&definition));
        let (pen, id) = (definition.pen, definition.id);
        let before = registry.element(pen, id).is_some();
        if registry.learn(definition).is_ok() {
            assert!(!before && registry.element(pen, id).is_some());
        }
    }
    assert!(registry.added() <= 8);
}

/// The elements a message of records of `template` describes.
fn described(template: &Template, message: &[u8]) -> Vec<ipfix::registry::Definition> {
    let mut described = Vec::new();
    visit(&[template], message, |record| {
        let types = TypeInformation::of(template).expect("it describes elements");
        described.extend(types.read(record));
    });
    described
}

/// A list of every kind, and lists in it: what is read can be written, and reads the same.
pub(crate) fn list(data: &[u8]) {
    let Some((&kind, value)) = data.split_first() else { return };
    let (element, data_type) = match kind % 3 {
        0 => (iana::BASIC_LIST, DataType::BasicList),
        1 => (iana::SUB_TEMPLATE_LIST, DataType::SubTemplateList),
        _ => (iana::SUB_TEMPLATE_MULTI_LIST, DataType::SubTemplateMultiList),
    };
    let value = value.get(..value.len().min(60_000)).unwrap_or_default();
    let [first, second, third] = [256, 257, 258].map(|id| TemplateId::new(id).unwrap());
    let outer = Template::new(first, [element]);
    let plain = Template::new(second, [iana::SOURCE_TRANSPORT_PORT, iana::INTERFACE_NAME]);
    let lists = [iana::BASIC_LIST, iana::SUB_TEMPLATE_LIST, iana::SUB_TEMPLATE_MULTI_LIST];
    let inner = Template::new(third, lists);
    let templates = [&outer, &plain, &inner];
    let message = written(&outer, |record| record.variable(value));
    let mut read = Vec::new();
    visit(&templates, &message, |record| {
        read.push(look_into(record, data_type));
    });
    let [(walked, values, again)] = read.as_slice() else { panic!("one record") };
    assert!(values.iter().map(|(_, value)| value.len()).sum::<usize>() <= value.len());
    let Some(again) = again else { return };
    visit(&templates, again, |record| {
        let (walked_again, values_again, _) = look_into(record, data_type);
        assert_eq!((&walked_again, &values_again), (walked, values));
    });
}

type LookedInto = (Walked, Vec<(FieldSpecifier, Vec<u8>)>, Option<Vec<u8>>);

/// Walks through the list that a record is, and writes it anew if all of it could be read.
fn look_into(record: &DataRecord<'_>, data_type: DataType) -> LookedInto {
    let (lists, value) = (record.lists(DEPTH), record.value(0).expect("one field"));
    let mut values = Vec::new();
    let walked = lists.walk(data_type, value, |field, value| values.push((field, value.to_vec())));
    let whole = Walked { lists: walked.lists, values: walked.values, ..Walked::default() };
    let again = (walked == whole).then(|| {
        let outer = Template::new(TemplateId::MIN, []);
        written(&outer, |record| rewrite(&lists, data_type, value, record))
    });
    (walked, values, again)
}

fn rewrite(lists: &Lists<'_>, data_type: DataType, value: &[u8], record: &mut RecordWriter<'_>) {
    match lists.open(data_type, value).expect("it has been walked through") {
        List::Basic(list) => record.basic_list(list.semantic, list.field, |values| {
            for value in list.values() {
                rewrite_value(&list.lists, list.field, value, values);
            }
        }),
        List::SubTemplate(list) => {
            record.sub_template_list(list.semantic, list.template.id, |records| {
                rewrite_records(&list, records);
            });
        }
        List::SubTemplateMulti(list) => record.sub_template_multi_list(list.semantic, |parts| {
            for part in list.parts() {
                let part = part.expect("it has been walked through");
                parts.records(part.template.id, |records| rewrite_records(&part, records));
            }
        }),
    }
}

fn rewrite_records(list: &SubTemplateList<'_>, records: &mut RecordWriter<'_>) {
    for record in list.records() {
        for (field, value) in record.fields() {
            rewrite_value(&record.lists, *field, value, records);
        }
    }
}

fn rewrite_value(
    lists: &Lists<'_>,
    field: FieldSpecifier,
    value: &[u8],
    record: &mut RecordWriter<'_>,
) {
    let list = field.element().map(|element| element.data_type).filter(|kind| kind.is_list());
    match (field.length, list) {
        (VARIABLE, Some(list)) => rewrite(lists, list, value, record),
        (VARIABLE, None) => record.variable(value),
        _ => record.bytes(value),
    }
}

/// A message with one record of `template`; nothing, if the record is too long or has no bytes.
fn written(template: &Template, write: impl FnOnce(&mut RecordWriter<'_>)) -> Vec<u8> {
    let mut message = Vec::new();
    Encoder::stream(1).record(0, template.id, &mut message, write).ok();
    message
}

/// A message with one Data Set.
fn framed_set(id: TemplateId, body: &[u8]) -> Vec<u8> {
    let body = body.get(..body.len().min(65_515)).unwrap_or_default();
    let length = u16::try_from(4 + body.len()).unwrap();
    framed(&[&id.get().to_be_bytes(), &length.to_be_bytes(), body].concat(), 1, 0)
}

/// Visits the records of a message whose Templates are known.
fn visit(templates: &[&Template], message: &[u8], mut look: impl FnMut(&DataRecord<'_>)) {
    let mut wire = Vec::new();
    let mut session = Session::new(Limits::default());
    for template in templates {
        wire.clear();
        Encoder::stream(1).template(0, template, &mut wire).expect("it fits");
        session.decode(&wire, |_| (), |(), _, _| ()).expect("a sound message");
    }
    if !message.is_empty() {
        session.decode(message, |_| (), |(), _, record| look(&record)).ok();
    }
}

/// What can be encoded is decoded to the same.
pub(crate) fn round_trip(data: &[u8]) {
    let mut source = Source(data);
    let packing = if source.byte() & 1 == 0 { Packing::OneRecord } else { Packing::Full };
    let max_message = 24 + 16 * u16::from(source.byte());
    let mut encoder = Encoder::new(7, max_message, packing);
    let (mut wire, mut sent) = (Vec::new(), Vec::new());
    let mut templates: Vec<Template> = Vec::new();
    while !source.0.is_empty() {
        let kind = source.byte();
        if templates.is_empty() || kind % 8 == 0 {
            let template = source.template();
            if encoder.template(0, &template, &mut wire).is_ok() {
                templates.retain(|known| known.id != template.id);
                // A decoder does not remember Templates whose records have no bytes.
                if template.minimum_record_length() > 0 {
                    templates.push(template);
                }
            }
            continue;
        }
        let template = &templates[usize::from(kind / 8) % templates.len()];
        if kind % 8 == 1 {
            encoder.withdraw(0, template, &mut wire).expect("24 bytes are enough");
            let id = template.id;
            templates.retain(|known| known.id != id);
            continue;
        }
        let values: Vec<Vec<u8>> =
            template.fields.iter().map(|field| source.value(field.length)).collect();
        let added = encoder.record(0, template.id, &mut wire, |record| {
            for (field, value) in template.fields.iter().zip(&values) {
                if field.length == VARIABLE { record.variable(value) } else { record.bytes(value) }
            }
        });
        if added.is_ok() {
            sent.push((template.clone(), values));
        }
    }
    encoder.finish(&mut wire);
    assert_eq!(received(&wire, max_message), sent);
}

/// Decodes messages back to back, none of them longer than `max_message`.
fn received(wire: &[u8], max_message: u16) -> Vec<(Template, Vec<Vec<u8>>)> {
    let mut session = Session::new(Limits { fields_per_template: 256, ..Limits::default() });
    let mut messages = Messages::new(wire);
    let mut received = Vec::new();
    while let Some(message) = messages.next_message().expect("whole messages") {
        assert!(message.len() <= usize::from(max_message));
        let visit = |(): &(), template: &Template, record: DataRecord<'_>| {
            received.push((template.clone(), record.values().map(<[u8]>::to_vec).collect()));
        };
        let summary = session.decode(message, |_| (), visit).expect("sound messages");
        assert_eq!((summary.lost_records, summary.sets_without_template), (0, 0));
    }
    received
}

/// Bytes that decide what is encoded; zeros when they have run out.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    fn template(&mut self) -> Template {
        let id = TemplateId::new(256 + u16::from(self.byte() & 3)).expect("256 or more");
        let count = 1 + usize::from(self.byte() & 15);
        let scope_count = u16::from(self.byte()).saturating_sub(128).min(count.try_into().unwrap());
        let fields = (0..count).map(|_| self.field()).collect();
        Template { id, fields, scope_count }
    }

    fn field(&mut self) -> FieldSpecifier {
        let shape = self.byte();
        let pen = if shape & 1 == 0 { 0 } else { u32::from(self.byte()) };
        let length = if shape & 2 == 0 { VARIABLE } else { u16::from(shape >> 4) };
        FieldSpecifier { pen, id: u16::from(self.byte()), length }
    }

    fn value(&mut self, length: u16) -> Vec<u8> {
        let length = if length == VARIABLE { 2 * u16::from(self.byte()) } else { length };
        (0..length).map(|_| self.byte()).collect()
    }
}
