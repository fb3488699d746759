use super::*;

const EGRESS: Table = Table { direction: Direction::Egress, isolates: false };
const ISOLATING: Table = Table { direction: Direction::Ingress, isolates: true };

#[test]
fn isolation_is_told_from_rules_of_the_same_table() {
    let server: IpAddr = [10, 37, 0, 2].into();
    let endpoint = u32::from(Ipv4Addr::new(10, 37, 0, 2));
    let of = |by_rule, table, id| rule_of(by_rule, table, id, server);
    // By the mark, wherever that is: the baseline tier has its rules beside isolation.
    assert_eq!(of(true, Some(ISOLATING), 15), RuleRef::Id(15));
    assert_eq!(of(true, Some(EGRESS), 11), RuleRef::Id(11));
    assert_eq!(of(true, None, 11), RuleRef::Id(11));
    // Even if the rule's number looks like an address, which takes 184 million rules.
    assert_eq!(of(true, Some(EGRESS), endpoint), RuleRef::Id(endpoint));
    // Isolation, whatever load balancing has left.
    for left in [0, endpoint, 15] {
        assert_eq!(of(false, Some(ISOLATING), left), RuleRef::IsolationDrop);
        assert_eq!(of(false, None, left), RuleRef::IsolationDrop);
    }
    // A table that does not isolate, without the mark: Antrea has it elsewhere.
    assert_eq!(of(false, Some(EGRESS), 11), RuleRef::Id(11));
    assert_eq!(of(false, Some(EGRESS), endpoint), RuleRef::Unknown);
    assert_eq!(of(false, Some(EGRESS), 0), RuleRef::Unknown);
    assert_eq!(of(true, Some(EGRESS), 0), RuleRef::Unknown);
}

#[test]
fn each_direction_reads_its_own_half_of_the_label() {
    // Egress rule 2, ingress rule 1.
    let label = 0x2_0000_0001;
    assert_eq!(other_rule(Direction::Ingress, label), Some(2));
    assert_eq!(other_rule(Direction::Egress, label), Some(1));
    assert_eq!(other_rule(Direction::Ingress, 1), None);
    // Beyond them is the VLAN of a layer 7 rule.
    assert_eq!(other_rule(Direction::Egress, u128::MAX << 64), None);
    assert_eq!(other_rule(Direction::Ingress, u128::MAX << 64), None);
}

#[test]
fn user_data_decide_what_a_packet_in_is_about() {
    for (user_data, expected) in [
        (&[1, 4][..], Ok(())),
        (&[1, 7, 0, 0], Ok(())),
        (&[1, 3], Err(Passed::NotStored)),
        (&[1], Err(Passed::NotStored)),
        (&[], Err(Passed::OtherCategory)),
        (&[2, 4], Err(Passed::OtherCategory)),
        (&[0, 1, 4], Err(Passed::OtherCategory)),
    ] {
        assert_eq!(tells_denied(user_data), expected, "{user_data:?}");
    }
}

#[test]
fn conntracks_destination_counts_only_for_the_same_packet() {
    let ends = |port| (IpAddr::from([10, 37, 0, 2]), port);
    let client: IpAddr = [10, 37, 0, 1].into();
    let packet =
        Packet { tuple: crate::conntrack::Tuple::new((client, 1000), ends(9006), 6), octets: 60 };
    let virtual_address: IpAddr = [10, 98, 0, 20].into();
    let ct = Ct {
        state: 0xa1,
        protocol: 6,
        source: Some(client),
        destination: Some(virtual_address),
        source_port: 1000,
        destination_port: 80,
        ..Ct::default()
    };
    assert_eq!(service(&packet, ct), Some((virtual_address, 80)));
    // The port alone may have been translated.
    let same = Ct { destination: Some(ends(0).0), ..ct };
    assert_eq!(service(&packet, same), Some(ends(80)));
    assert_eq!(service(&packet, Ct { destination_port: 9006, ..same }), None);
    // An answer, another packet's connection (an ICMP error's), or nothing.
    for other in [
        Ct { state: ct.state | REPLY, ..ct },
        Ct { protocol: 17, ..ct },
        Ct { source: Some(virtual_address), ..ct },
        Ct { destination: None, ..ct },
        Ct::default(),
    ] {
        assert_eq!(service(&packet, other), None);
    }
}
