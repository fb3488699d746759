use proptest::prelude::*;

use super::*;

fn read(line: &str) -> Line<'_> {
    Line::read(line.as_bytes()).unwrap_or_else(|_| panic!("{line}"))
}

fn tuple(source: (&str, u16), destination: (&str, u16), protocol: u8) -> Tuple {
    let end = |(address, port): (&str, u16)| (address.parse().unwrap(), port);
    Tuple::new(end(source), end(destination), protocol)
}

/// Lines of Antrea's documentation, in the forms of its versions.
#[test]
fn lines_of_all_versions_are_understood() {
    let tcp = tuple(("10.10.1.65", 35402), ("10.0.0.5", 80), 6);
    let portless = tuple(("10.0.0.4", 0), ("10.0.0.5", 0), 6);
    let policy = "AntreaNetworkPolicy:default/test-anp";
    let base = Line {
        time: DateTime::new(2021, 6, 24, 23, 56, 41, 346_165_000).unwrap(),
        policy,
        rule: "",
        direction: Some(Direction::Egress),
        action: Some(Action::Drop),
        tuple: tcp,
        length: 60,
        packets: 1,
    };
    let at = "2021/06/24 23:56:41.346165";
    for (rest, expected) in [
        (
            "AntreaPolicyEgressRule AntreaNetworkPolicy:default/test-anp reject http Ingress Reject \
             44900 default/web 10.10.1.65 35402 10.0.0.5 80 TCP 60 my-label [3 packets in 1.011379442s]",
            Line {
                rule: "reject http",
                direction: Some(Direction::Ingress),
                action: Some(Action::Reject),
                packets: 3,
                ..base.clone()
            },
        ),
        (
            "EgressDefaultRule K8sNetworkPolicy <nil> Egress Drop <nil> default/web 10.10.1.65 35402 \
             10.0.0.5 80 TCP 60 <nil>",
            Line { policy: "K8sNetworkPolicy", ..base.clone() },
        ),
        (
            "AntreaPolicyEgressRule AntreaNetworkPolicy:default/test-anp a-rule Egress Drop 44900 \
             default/web 10.10.1.65 35402 10.0.0.5 80 TCP 60",
            Line { rule: "a-rule", ..base.clone() },
        ),
        (
            "AntreaPolicyEgressRule AntreaNetworkPolicy:default/test-anp Drop 44900 10.10.1.65 35402 \
             10.0.0.5 80 TCP 60 [3 packets in 1.011379442s]",
            Line { packets: 3, ..base.clone() },
        ),
        (
            "AntreaPolicyAppTierIngressRule AntreaNetworkPolicy:default/test-anp Allow 61800 SRC: \
             10.0.0.4 DEST: 10.0.0.5 60 TCP",
            Line {
                direction: Some(Direction::Ingress),
                action: None,
                tuple: portless,
                ..base.clone()
            },
        ),
        (
            "AntreaPolicyEgressRule AntreaNetworkPolicy:default/test-anp <nil> Egress Drop 1 a/b \
             fd00::1 <nil> fd00::2 <nil> IPv6-ICMP 104 <nil>",
            Line { tuple: tuple(("fd00::1", 0), ("fd00::2", 0), 58), length: 104, ..base.clone() },
        ),
    ] {
        assert_eq!(read(&format!("{at} {rest}\n")), expected);
    }
}

#[test]
fn a_policy_is_named_by_kind() {
    let named = |namespace: &str, name: &str, policy_type, rule: &str| {
        let (namespace, name, rule) = (namespace.into(), name.into(), rule.into());
        RuleRef::Named(PolicyRule { name, namespace, policy_type, rule, action: 0 })
    };
    for (policy, rule, expected) in [
        ("AntreaNetworkPolicy:ns/p", "r 1", named("ns", "p", 2, "r 1")),
        ("AntreaClusterNetworkPolicy:p", "r", named("", "p", 3, "r")),
        ("K8sNetworkPolicy:ns/p", "<nil>", named("ns", "p", 1, "")),
        ("K8sClusterNetworkPolicy:p", "r", named("", "p", 4, "r")),
        ("AdminNetworkPolicy:p", "r", named("", "p", 0, "r")),
        ("K8sNetworkPolicy", "<nil>", RuleRef::IsolationDrop),
        ("Something", "<nil>", RuleRef::Unknown),
    ] {
        let line = format!(
            "2026/11/21 15:00:00 T {policy} {rule} Ingress Drop 1 a/b 10.0.0.1 1 10.0.0.2 2 UDP 28 x"
        );
        assert_eq!(read(&line).rule(), expected, "{policy}");
    }
}

#[test]
fn half_a_line_is_not_a_line() {
    let whole = "2026/11/21 15:00:00.123456 IngressRule AntreaNetworkPolicy:a/b r Ingress Drop 1 a/b \
                 10.0.0.1 1 10.0.0.2 2 UDP 28 <nil>";
    read(whole);
    // Without its label a line looks like one of an older version.
    for cut in 0..whole.len() - " <nil>".len() - 1 {
        // Nor can a number be told from its beginning.
        if whole[..cut].ends_with("UDP 2") {
            continue;
        }
        assert_eq!(Line::read(&whole.as_bytes()[..cut]), Err(Malformed), "{}", &whole[..cut]);
    }
    for wrong in [
        whole.replace("10.0.0.1", "fd00::1"),
        whole.replace("2026/11/21", "2026/13/21"),
        whole.replace("15:00:00", "25:00:00"),
        whole.replace("Drop", "Lose"),
        whole.replace("UDP 28", "UDP -28"),
    ] {
        assert_eq!(Line::read(wrong.as_bytes()), Err(Malformed), "{wrong}");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[!-~]{1,12}"
}

proptest! {
    #[test]
    fn any_name_of_a_rule_is_read_as_it_was_written(
        rule in "[ -~äß€]{1,40}",
        label in word(),
        applied in word(),
        ports in any::<[u16; 2]>(),
        packets in prop::option::of(1..u64::MAX),
        micros in 0..1_000_000_u32,
        is_ingress in any::<bool>(),
    ) {
        let direction = if is_ingress { "Ingress" } else { "Egress" };
        let suffix = packets.map_or(String::new(), |n| format!(" [{n} packets in 1.0008s]"));
        let line = format!(
            "2026/01/02 03:04:05.{micros:06} AntreaPolicyIngressRule AntreaNetworkPolicy:ns/p {rule} \
             {direction} Drop <nil> {applied} 10.0.0.1 {} 10.0.0.2 {} TCP 1500 {label}{suffix}\n",
            ports[0], ports[1],
        );
        let read = read(&line);
        prop_assert_eq!(read.rule, if rule == "<nil>" { "" } else { &rule });
        prop_assert_eq!(read.direction == Some(Direction::Ingress), is_ingress);
        prop_assert_eq!(read.tuple, tuple(("10.0.0.1", ports[0]), ("10.0.0.2", ports[1]), 6));
        prop_assert_eq!((read.length, read.packets), (1500, packets.unwrap_or(1)));
        prop_assert_eq!(read.time.subsec_nanosecond(), i32::try_from(micros * 1000).unwrap());
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        Line::read(&bytes).ok();
    }

    #[test]
    fn no_words_do_harm(words in prop::collection::vec("[a-z0-9<>:/.\\[\\]]{0,6}|Drop|Ingress|TCP|60|SRC:|10.0.0.1|packets|in", 0..24)) {
        let line = format!("2026/01/02 03:04:05 {}", words.join(" "));
        Line::read(line.as_bytes()).ok();
    }
}
