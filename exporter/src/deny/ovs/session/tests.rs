use super::*;
use crate::conntrack::{Icmp, Tuple};
use crate::deny::ovs::recorded::{self, bytes, printed};
use crate::deny::{Action, Direction, RuleRef, Source};

const NOW: u64 = 1_795_275_076_976_085_230;

fn options() -> Options {
    let names = [
        ("AntreaPolicyEgressRule", 42),
        ("AntreaPolicyIngressRule", 45),
        ("IngressDefaultRule", 47),
    ];
    let tables = names.map(|(name, number)| (name.to_owned(), number)).to_vec();
    Options { tables, ..Options::of_bridge("br-int") }
}

/// Hands a message over; returns what was told.
fn receive(session: &mut Session<'_>, message: &[u8]) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    session.receive(message, NOW, &mut |it| told.push(it)).map(|()| told)
}

/// The first lines of what the foreign reader makes of what is in the outbox, which is emptied.
fn said(session: &mut Session<'_>) -> Vec<String> {
    let (bytes, mut said) = (session.outbox.bytes().to_vec(), Vec::new());
    let mut rest = bytes.as_slice();
    while let Some(length) = message::length(rest).unwrap() {
        let (message, others) = rest.split_at(length);
        let line = printed(message).lines().next().unwrap().trim_end_matches(':').to_owned();
        said.push(line.replace(" (OF1.5)", "").replace("):  ", "): "));
        rest = others;
    }
    session.outbox.clear();
    said
}

fn message(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
    [&[6, kind], &length[..], &id.to_be_bytes(), body].concat()
}

/// One table's entry, as long as a real one's beginning.
fn named(number: u8, name: &str) -> Vec<u8> {
    let mut entry = vec![0, 64, number, 0, 0, 0, 0, 0];
    entry.extend(name.as_bytes());
    entry.resize(64, 0);
    entry
}

fn names(entries: &[Vec<u8>]) -> Vec<u8> {
    message(19, ids::NAMES, &[&[0, 12, 0, 0, 0, 0, 0, 0], entries.concat().as_slice()].concat())
}

fn tcp(source: (&str, u16), destination: (&str, u16)) -> Tuple {
    Tuple::new(
        (source.0.parse().unwrap(), source.1),
        (destination.0.parse().unwrap(), destination.1),
        6,
    )
}

#[test]
fn a_session_finds_out_which_controller_to_be_beside() {
    let options = options();
    let mut session = Session::new(&options);
    assert_eq!(said(&mut session), ["OFPT_HELLO (xid=0x1)"]);
    assert_eq!(receive(&mut session, &bytes(recorded::HELLO)), Ok(vec![]));
    assert_eq!(
        said(&mut session),
        [
            "NXT_SET_PACKET_IN_FORMAT (xid=0x3): format=nxt_packet_in2",
            "OFPT_SET_ASYNC (xid=0x4)",
            "OFPST_TABLE_FEATURES request (xid=0x6)",
            "OFPST_FLOW request (xid=0x7): out_port=CONTROLLER",
        ]
    );
    // A second greeting is nothing new, and what is under way is not asked again.
    receive(&mut session, &bytes(recorded::HELLO)).unwrap();
    session.look_again();
    assert_eq!(said(&mut session), [""; 0]);

    let told = receive(&mut session, &bytes(recorded::FLOWS)).unwrap();
    assert_eq!(told, [Told::Flows(3)]);
    // Two of three name none, which is number 0.
    assert_eq!(
        said(&mut session),
        [
            "NXT_SET_CONTROLLER_ID (xid=0x5): id=0",
            "OFPT_ECHO_REQUEST (xid=0x8): 0 bytes of payload"
        ]
    );
    let done = receive(&mut session, &message(3, ids::DONE, &[])).unwrap();
    assert_eq!(done, [Told::Watching { controller: 0, tables: 3 }]);

    session.look_again();
    assert_eq!(said(&mut session), ["OFPST_FLOW request (xid=0x7): table=1 out_port=CONTROLLER"]);
    // Only the first is left: another Agent, so tables may have other names, too.
    let mut one = bytes(recorded::FLOWS);
    one.truncate(16 + 144);
    one[2..4].copy_from_slice(&[0, 160]);
    assert_eq!(receive(&mut session, &one), Ok(vec![Told::Flows(1)]));
    let said = said(&mut session);
    assert_eq!(said[0], "NXT_SET_CONTROLLER_ID (xid=0x5): id=15768");
    assert_eq!(said[2], "OFPST_TABLE_FEATURES request (xid=0x6)");
}

#[test]
fn a_configured_controller_is_taken_whatever_flows_name() {
    let options = Options { controller: Some(7), ..options() };
    let mut session = Session::new(&options);
    receive(&mut session, &bytes(recorded::HELLO)).unwrap();
    assert!(said(&mut session).contains(&"NXT_SET_CONTROLLER_ID (xid=0x5): id=7".to_owned()));
    receive(&mut session, &bytes(recorded::FLOWS)).unwrap();
    assert_eq!(said(&mut session), [""; 0]);
}

#[test]
fn recorded_packet_ins_mean_what_the_foreign_reader_says() {
    let options = options();
    let mut session = Session::new(&options);
    let mut told = |message| receive(&mut session, &bytes(message)).unwrap().pop().unwrap();
    let expected = Denied {
        time_ns: NOW,
        original: tcp(("10.37.0.1", 59_230), ("10.37.0.2", 9006)),
        service: Some(("10.98.0.20".parse().unwrap(), 80)),
        // Of an Ethernet frame of 74 bytes.
        octets: 60,
        packets: 1,
        direction: Some(Direction::Ingress),
        action: Action::Drop,
        // Register 3 has the endpoint, 10.37.0.2, which no rule's number is.
        rule: RuleRef::IsolationDrop,
        other_rule: Some(77),
        mark: Some(0x13),
        source: Source::Ovs,
    };
    assert_eq!(told(recorded::ISOLATED_SERVICE), Told::Denied(expected.clone()));
    let rejected = Denied {
        original: tcp(("fd37::1", 38_712), ("fd37::2", 9005)),
        service: None,
        octets: 80,
        action: Action::Reject,
        rule: RuleRef::Id(14),
        mark: Some(0),
        ..expected.clone()
    };
    assert_eq!(told(recorded::REJECTED6), Told::Denied(rejected));
    let ping = Icmp { kind: 128, code: 0, id: 0x7499 };
    let dropped = Denied {
        original: Tuple::icmp("fd37::1".parse().unwrap(), "fd37::2".parse().unwrap(), ping),
        service: None,
        octets: 104,
        direction: Some(Direction::Egress),
        rule: RuleRef::Id(11),
        other_rule: None,
        mark: Some(0),
        ..expected
    };
    assert_eq!(told(recorded::DROPPED_PING6), Told::Denied(dropped));
    assert_eq!(told(recorded::PAUSED), Told::Passed(Passed::Paused));
}

#[test]
fn names_are_learned_in_parts_and_configuration_wins() {
    let options =
        Options { tables: vec![("EgressRule".to_owned(), 45)], ..Options::of_bridge("br-int") };
    let mut session = Session::new(&options);
    receive(&mut session, &names(&[named(42, "AntreaPolicyEgressRule"), named(43, "")])).unwrap();
    receive(
        &mut session,
        &names(&[
            named(45, "IngressRule"),
            named(47, "IngressDefaultRule"),
            named(3, "EgressMark"),
        ]),
    )
    .unwrap();
    assert_eq!(session.tables.known(), 3);
    let direction = |number| session.tables.get(number).map(|table| table.direction);
    assert_eq!(direction(42), Some(Direction::Egress));
    assert_eq!(direction(45), Some(Direction::Egress));
    assert_eq!(direction(47), Some(Direction::Ingress));
    assert_eq!((direction(43), direction(3)), (None, None));
    let isolates = |number| session.tables.get(number).is_some_and(|table| table.isolates);
    assert_eq!((isolates(45), isolates(47)), (false, true));
    // An entry that is longer than its message, and one without room for a name.
    for broken in [vec![0, 65], vec![0, 8, 9, 0, 0, 0, 0, 0], vec![0, 0, 0, 0]] {
        assert_eq!(receive(&mut session, &names(&[broken])), Ok(vec![Told::Unanswered]));
    }
}

#[test]
fn the_switch_may_refuse_questions_and_nothing_else() {
    let options = options();
    let refusal = |id| message(1, id, &[0, 1, 0, 6]);
    let mut session = Session::new(&options);
    receive(&mut session, &bytes(recorded::HELLO)).unwrap();
    for id in [ids::NAMES, ids::FLOWS] {
        assert_eq!(receive(&mut session, &refusal(id)), Ok(vec![Told::Unanswered]));
    }
    // It is asked again next time.
    session.outbox.clear();
    session.look_again();
    assert_eq!(said(&mut session).len(), 1);
    for id in [ids::FORMAT, ids::ASYNC, ids::CONTROLLER, ids::DONE] {
        let refused = Failure::Refused { request: id, kind: 1, code: 6 };
        assert_eq!(receive(&mut session, &refusal(id)), Err(refused));
    }
    assert_eq!(receive(&mut session, &refusal(ids::HELLO)), Err(Failure::Version));
    // Only up to 1.3, by a bitmap and without.
    let older = message(0, 1, &[0, 1, 0, 8, 0, 0, 0, 0x12]);
    assert_eq!(receive(&mut session, &older), Err(Failure::Version));
    assert_eq!(receive(&mut session, &[4, 0, 0, 8, 0, 0, 0, 1]), Err(Failure::Version));
}

#[test]
fn an_echo_is_answered_with_what_was_asked() {
    let options = options();
    let mut session = Session::new(&options);
    session.outbox.clear();
    receive(&mut session, &message(2, 99, b"are you there")).unwrap();
    assert_eq!(session.outbox.bytes(), message(3, 99, b"are you there"));
}

#[test]
fn names_are_asked_for_again_while_there_are_none() {
    let options = Options::of_bridge("br-int");
    let mut session = Session::new(&options);
    receive(&mut session, &bytes(recorded::HELLO)).unwrap();
    let mut questions = 0;
    for _ in 0..10 {
        receive(&mut session, &names(&[named(42, "")])).unwrap();
        receive(&mut session, &bytes(recorded::FLOWS)).unwrap();
        session.look_again();
        questions += said(&mut session).iter().filter(|it| it.contains("FEATURES")).count();
    }
    assert_eq!(questions, 4);
}
