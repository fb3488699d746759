//! Random messages, judged by `netflow_parser`, which shares nothing with this crate.
//!
//! What is expected comes from neither: it is what the generator meant to send. Once the crate
//! writes and `netflow_parser` reads; once bytes are pushed by hand (`plain`) and both read.
//!
//! Where the two differ by design, the generator stays away and a test of its own holds the
//! difference, so that a new version of either is noticed.

#![allow(unreachable_pub, reason = "modules of a test program")]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

mod plain;
#[path = "second_judge/said.rs"]
mod said; // what a message said, whoever read it
#[path = "second_judge/script.rs"]
mod script; // random messages

use ipfix::{
    decode::{Limits, Rules, Session},
    encode::{Encoder, Packing},
    template::TemplateId,
};
use netflow_parser::{NetflowPacket, NetflowParser, variable_versions::ipfix::FlowSetBody};
use plain::{Field, Record, Template, VARIABLE, message, set};
use proptest::{prelude::*, sample};
use said::{Said, check, our_template, ours, theirs};
use script::{Flow, MASKED, Script, flows};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn netflow_parser_reads_what_we_meant_to_write(
        flows in flows(512),
        packing in sample::select(vec![Packing::OneRecord, Packing::Full]),
        max_message in 4_096_u16..,
    ) {
        let mut encoder = Encoder::new(Script::DOMAIN, max_message, packing);
        let mut wire = Vec::new();
        let mut meant = Said::default();
        for Flow { template, .. } in &flows {
            encoder.template(9, &our_template(template), &mut wire).unwrap();
            meant.templates.push(template.clone());
        }
        // In turn, so that a full message has several Sets.
        for (turn, flow) in (0..3).flat_map(|turn| flows.iter().map(move |flow| (turn, flow))) {
            let id = TemplateId::new(flow.template.id).unwrap();
            for values in flow.pieces.get(turn).iter().flat_map(|piece| &piece.records) {
                encoder.record(9, id, &mut wire, |record| {
                    for (field, value) in flow.template.fields.iter().zip(values) {
                        if field.length == VARIABLE { record.variable(value) } else { record.bytes(value) }
                    }
                }).unwrap();
                meant.records.push((flow.template.id, values.clone()));
            }
        }
        encoder.finish(&mut wire);

        let mut parser = NetflowParser::default();
        let mut read = Said::default();
        for message in plain::each(&wire) {
            prop_assert!(message.len() <= usize::from(max_message));
            let said = theirs(&mut parser, message);
            prop_assert_eq!(said.domain, Script::DOMAIN);
            prop_assert_eq!(said.sequence, u32::try_from(read.records.len()).unwrap());
            read.templates.extend(said.templates);
            read.records.extend(said.records);
        }
        check(&read, &meant);
    }

    #[test]
    fn both_read_what_was_written_by_hand(
        first in flows(512),
        second in flows(768),
        padding in 0_usize..4,
    ) {
        let mut script = Script::default();
        script.round(&first, padding);
        script.round(&second, 0);
        let mut parser = NetflowParser::default();
        let mut session = Session::with_rules(Limits::default(), Rules::stream());
        for (message, meant) in &script.messages {
            check(&ours(&mut session, message), meant);
            check(&theirs(&mut parser, message), meant);
        }
    }
}

/// Lets both read messages of domain 7 with these Sets; returns the values, ours first.
fn both(messages: &[Vec<u8>]) -> [Vec<Record>; 2] {
    let mut session = Session::new(Limits::default());
    let mut parser = NetflowParser::default();
    let values = |said: Said| said.records.into_iter().map(|(_, values)| values);
    let mut read = [Vec::new(), Vec::new()];
    for message in messages {
        read[0].extend(values(ours(&mut session, message)));
        read[1].extend(values(theirs(&mut parser, message)));
    }
    read
}

const fn field_of(id: u16, length: u16) -> Field {
    Field { pen: None, id, length }
}

#[test]
fn a_value_of_no_bytes_ends_a_set_for_netflow_parser() {
    // RFC 7011, section 7, allows it, and common exporters send it for a name that is not there.
    let template = Template::new(256, &[field_of(1, 1), field_of(82, VARIABLE)]);
    let body = [1, 1, b'a', 2, 0, 3, 1, b'c'];
    let sets = [set(2, &template.bytes()), set(256, &body)].concat();
    let record = |number: u8, name: &[u8]| vec![vec![number], name.to_vec()];
    let all = vec![record(1, b"a"), record(2, b""), record(3, b"c")];
    assert_eq!(both(&[message(7, 0, &sets)]), [all, vec![record(1, b"a")]]);
}

#[test]
fn a_field_of_no_bytes_ends_a_message_for_netflow_parser() {
    // Senseless, but sound: a value of no bytes in each record.
    let template = Template::new(256, &[field_of(1, 1), field_of(82, 0)]);
    let sets = [set(2, &template.bytes()), set(256, &[1])].concat();
    assert_eq!(both(&[message(7, 0, &sets)]), [vec![vec![vec![1], vec![]]], vec![]]);
}

#[test]
fn a_scope_may_be_all_there_is() {
    // RFC 7011, section 3.4.2.2, asks for at least one scope field, and no more than there are.
    let template = Template { scope_count: 1, ..Template::new(256, &[field_of(149, 1)]) };
    let sets = [set(3, &template.bytes()), set(256, &[1])].concat();
    assert_eq!(both(&[message(7, 0, &sets)]), [vec![vec![vec![1]]], vec![]]);
}

#[test]
fn options_templates_are_taken_back() {
    // RFC 7011, section 8.1: a withdrawal is an id and a field count of 0. netflow_parser waits for
    // a scope count, and reads nothing behind the Set.
    let template = |length| Template {
        scope_count: 1,
        ..Template::new(256, &[field_of(149, length), field_of(1, 1)])
    };
    let messages = [
        message(7, 0, &[set(3, &template(1).bytes()), set(256, &[1, 2])].concat()),
        message(7, 1, &[set(3, &[1, 0, 0, 0]), set(3, &template(2).bytes())].concat()),
        message(7, 1, &set(256, &[1, 2, 3])),
    ];
    let first = vec![vec![1], vec![2]];
    let read = [vec![first.clone(), vec![vec![1, 2], vec![3]]], vec![first.clone(), first]];
    assert_eq!(both(&messages), read);
}

#[test]
fn template_ids_belong_to_a_domain() {
    // RFC 7011, section 3.4.1; netflow_parser has one namespace for them all.
    let template = |length| Template::new(256, &[field_of(1, length)]).bytes();
    let messages = [
        message(7, 0, &set(2, &template(1))),
        message(8, 0, &set(2, &template(2))),
        message(7, 0, &set(256, &[1, 2])),
    ];
    assert_eq!(both(&messages), [vec![vec![vec![1]], vec![vec![2]]], vec![vec![vec![1, 2]]]]);
}

#[test]
fn templates_of_netflow_v9_are_no_templates_of_ipfix() {
    // RFC 7011, section 3.3.2: Set IDs 0 and 1 are not used, for they were NetFlow version 9's.
    let template = Template::new(256, &[field_of(1, 1)]);
    let message = message(7, 0, &[set(0, &template.bytes()), set(256, &[1])].concat());
    let said = ours(&mut Session::new(Limits::default()), &message);
    assert_eq!((said.templates, said.records), (vec![], vec![]));
    let result = NetflowParser::default().parse_bytes(&message);
    let [NetflowPacket::IPFix(packet)] = result.packets.as_slice() else { panic!("{result:?}") };
    let bodies: Vec<_> = packet.flowsets.iter().map(|flowset| &flowset.body).collect();
    let taken = matches!(bodies.as_slice(), [FlowSetBody::V9Template(_), FlowSetBody::V9Data(_)]);
    assert!(taken, "{bodies:?}");
}

#[test]
fn bits_without_a_meaning_are_kept() {
    for id in MASKED {
        let length = if id == 6 { 2 } else { 1 };
        let sent = vec![0xff; length];
        let template = Template::new(256, &[field_of(id, sent.len().try_into().unwrap())]);
        let sets = [set(2, &template.bytes()), set(256, &sent)].concat();
        let [ours, theirs] = both(&[message(7, 0, &sets)]);
        assert_eq!(ours, [[sent.clone()]]);
        assert_ne!(theirs, [[sent]]);
    }
}
