use flow::PolicyRule;

use super::*;
use crate::conntrack::Icmp;
use crate::deny::Source;
use crate::verdict::Action;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;

pub(super) fn packet(port: u16, source: Source, time_ns: u64) -> Denied {
    let original = Tuple::new(([10, 0, 0, 1].into(), port), ([10, 0, 1, 1].into(), 80), 6);
    Denied {
        time_ns,
        original,
        service: None,
        octets: 60,
        packets: 1,
        direction: Some(Direction::Ingress),
        action: Action::Drop,
        rule: RuleRef::Unknown,
        other_rule: None,
        mark: None,
        source,
    }
}

fn table(limit: usize) -> (Table, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Table::new(limit, Duration::from_secs(15), Arc::clone(&counts)), counts)
}

fn taken(table: &mut Table, denied: &Denied, now: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    table.take(denied, now, &mut |entry| entries.push(*entry));
    entries
}

fn packets(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.counters.unwrap().packets).collect()
}

#[test]
fn packets_of_a_flow_add_up() {
    let (mut table, _) = table(10);
    let first = taken(&mut table, &packet(1, Source::Ovs, START), START);
    let second = taken(&mut table, &packet(1, Source::Ovs, START + SECOND), START + SECOND);
    assert_eq!(second[0].counters.unwrap().octets, 120);
    assert_eq!((first[0].id, first[0].start_ns), (second[0].id, second[0].start_ns));
    assert_eq!(packets(&[first, second].concat()), [1, 2]);
}

#[test]
fn another_rule_or_direction_is_another_flow() {
    let (mut table, _) = table(10);
    let base = packet(1, Source::Ovs, START);
    let rule = |name: &str| PolicyRule { rule: name.into(), ..PolicyRule::default() };
    let others = [
        base.clone(),
        Denied { direction: Some(Direction::Egress), ..base.clone() },
        Denied { rule: RuleRef::Id(1), ..base.clone() },
        Denied { rule: RuleRef::Id(2), ..base.clone() },
        Denied { rule: RuleRef::IsolationDrop, ..base.clone() },
        Denied { rule: RuleRef::Named(rule("a")), ..base.clone() },
        Denied { rule: RuleRef::Named(rule("b")), ..base.clone() },
        Denied { action: Action::Reject, ..base.clone() },
        Denied { service: Some(([10, 96, 0, 1].into(), 443)), ..base },
    ];
    for denied in &others {
        assert_eq!(packets(&taken(&mut table, denied, START)), [1], "{denied:?}");
    }
    assert_eq!(table.len(), others.len());
}

#[test]
fn a_flow_is_told_as_conntrack_would() {
    let (mut table, _) = table(10);
    let service = ([10, 96, 0, 1].into(), 443);
    let denied = Denied {
        service: Some(service),
        rule: RuleRef::Id(7),
        other_rule: Some(9),
        mark: Some(0x13),
        ..packet(5, Source::Ovs, START)
    };
    let entry = taken(&mut table, &denied, START)[0];
    let (client, backend) = (([10, 0, 0, 1].into(), 5), ([10, 0, 1, 1].into(), 80));
    assert_eq!(entry.original, Tuple::new(client, service, 6));
    assert_eq!(entry.reply, Tuple::new(backend, client, 6));
    assert_eq!(entry.mark, 0x13);
    // Egress rule 9, ingress rule 7, as in the text form 0x900000007.
    assert_eq!(entry.labels.map(u128::from_be_bytes), Some(0x9_0000_0007));
}

#[test]
fn icmp_has_no_service_and_keeps_its_type() {
    let (mut table, _) = table(10);
    let icmp = Icmp { kind: 8, code: 0, id: 77 };
    let original = Tuple::icmp([10, 0, 0, 1].into(), [10, 0, 1, 1].into(), icmp);
    let service = Some(([10, 96, 0, 1].into(), 443));
    let denied = Denied { original, service, ..packet(1, Source::Ovs, START) };
    let entry = taken(&mut table, &denied, START)[0];
    assert_eq!((entry.original, entry.reply.as_icmp()), (original, Some(icmp)));
}

#[test]
fn a_flow_that_is_idle_ends_once() {
    let (mut table, _) = table(10);
    taken(&mut table, &packet(1, Source::Ovs, START), START);
    let mut entries = Vec::new();
    for second in 0..40 {
        table.sweep(START + second * SECOND, &mut |entry| entries.push((second, *entry)));
    }
    let [(15, end)] = entries[..] else { panic!("{entries:?}") };
    assert_eq!((end.kind, end.stop_ns), (Kind::Destroy, Some(START)));
    assert!(table.is_empty());
    assert_eq!(table.owners.len(), 0);
}

#[test]
fn a_packet_after_the_end_begins_a_new_flow() {
    let (mut table, _) = table(10);
    let first = taken(&mut table, &packet(1, Source::Ovs, START), START);
    let later = START + 15 * SECOND;
    let second = taken(&mut table, &packet(1, Source::Ovs, later), later);
    let kinds: Vec<_> = second.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Destroy, Kind::Update]);
    assert_eq!(packets(&second), [1, 1]);
    assert_eq!((second[0].id, second[1].start_ns), (first[0].id, Some(later)));
    assert_ne!(second[1].id, first[0].id);
}

#[test]
fn what_finds_no_place_is_counted() {
    let (mut table, counts) = table(2);
    for port in 0..5 {
        taken(&mut table, &packet(port, Source::Nflog, START), START);
    }
    assert_eq!((table.len(), table.owners.len()), (2, 2));
    assert_eq!(counts.losses(Source::Nflog, Loss::TableFull), 3);
    assert_eq!(packets(&taken(&mut table, &packet(1, Source::Nflog, START), START)), [2]);
}

#[test]
fn what_another_source_tells_again_is_counted_as_that() {
    let (mut table, counts) = table(10);
    taken(&mut table, &packet(1, Source::Ovs, START), START);
    let line = Denied {
        rule: RuleRef::Named(PolicyRule::default()),
        ..packet(1, Source::AuditLog, START + SECOND)
    };
    assert_eq!(taken(&mut table, &line, START + SECOND), []);
    assert_eq!(counts.losses(Source::AuditLog, Loss::SeenByAnother), 1);
}

#[test]
fn a_clock_that_cannot_be_right_is_not_believed() {
    let (mut table, _) = table(10);
    for (port, told, expected) in [
        (1, START - 5 * SECOND, START - 5 * SECOND),
        (2, START - 3600 * SECOND, START),
        (3, START + SECOND, START),
        (4, 0, START),
        (5, u64::MAX, START),
    ] {
        let entries = taken(&mut table, &packet(port, Source::AuditLog, told), START);
        assert_eq!(entries[0].start_ns, Some(expected), "{told}");
    }
}
