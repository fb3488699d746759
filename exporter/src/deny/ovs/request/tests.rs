use super::*;
use crate::deny::ovs::recorded::printed;

fn written(id: u32, request: Request<'_>) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(id, request);
    outbox.bytes().to_vec()
}

#[test]
fn the_switchs_own_reader_reads_each_request() {
    for (request, expected) in [
        (Request::Hello, "OFPT_HELLO (OF1.5) (xid=0x5):\n version bitmap: 0x06\n"),
        (Request::Echo, "OFPT_ECHO_REQUEST (OF1.5) (xid=0x5): 0 bytes of payload\n"),
        (Request::EchoReply(&[]), "OFPT_ECHO_REPLY (OF1.5) (xid=0x5): 0 bytes of payload\n"),
        (
            Request::PacketInFormat,
            "NXT_SET_PACKET_IN_FORMAT (OF1.5) (xid=0x5): format=nxt_packet_in2\n",
        ),
        (Request::ControllerId(15_768), "NXT_SET_CONTROLLER_ID (OF1.5) (xid=0x5): id=15768\n"),
        (Request::TableNames, "OFPST_TABLE_FEATURES request (OF1.5) (xid=0x5):"),
        (
            Request::ControllerFlows { table: ALL_TABLES },
            "OFPST_FLOW request (OF1.5) (xid=0x5): out_port=CONTROLLER\n",
        ),
        (
            Request::ControllerFlows { table: 48 },
            "OFPST_FLOW request (OF1.5) (xid=0x5): table=48 out_port=CONTROLLER\n",
        ),
    ] {
        assert_eq!(printed(&written(5, request)).trim_end(), expected.trim_end(), "{request:?}");
    }
}

#[test]
fn only_packet_ins_are_asked_for() {
    let printed = printed(&written(5, Request::OnlyPacketIns));
    let lines: Vec<_> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let off = |what| format!("{what}: (off)");
    let others = ["PORT_STATUS", "FLOW_REMOVED", "ROLE_STATUS", "TABLE_STATUS", "REQUESTFORWARD"];
    let mut expected = vec!["OFPT_SET_ASYNC (OF1.5) (xid=0x5):".to_owned(), "primary:".to_owned()];
    let all = "PACKET_IN: no_match action invalid_ttl action_set group packet_out";
    expected.push(all.to_owned());
    expected.extend(others.map(off));
    expected.extend(["secondary:".to_owned(), off("PACKET_IN")]);
    expected.extend(others.map(off));
    assert_eq!(lines, expected);
}

#[test]
fn messages_follow_each_other_and_none_is_too_long() {
    let long = vec![7; 70_000];
    let mut outbox = Outbox::default();
    outbox.push(1, Request::EchoReply(&long));
    outbox.push(2, Request::Echo);
    let (first, second) = outbox.bytes().split_at(65_535);
    assert_eq!(&first[..8], [6, 3, 0xff, 0xff, 0, 0, 0, 1]);
    assert_eq!(second, [6, 2, 0, 8, 0, 0, 0, 2]);
    outbox.clear();
    assert!(outbox.bytes().is_empty());
}
