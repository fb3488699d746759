//! Denied packets of a real Open vSwitch, whose flows are shaped like Antrea's.
//!
//! What is expected comes from the switch's own counters (`ovs-ofctl dump-flows`) and from
//! another observer (`ovs-ofctl monitor`). Needs root and a few Debian packages, and fails saying
//! which if it cannot run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "ovs/lab.rs"]
mod lab;
#[path = "ovs/pipeline.rs"]
mod pipeline;
#[path = "ovs/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use exporter::deny::ovs::{Counters, Options, Passed, watch};
use exporter::deny::{Action, Counts, Denials, Denied, Direction, Loss, RuleRef, Source, channel};
use lab::{CLIENT4, CLIENT6, Lab, SERVER4, SERVER6, SERVICE4, until};
use pipeline::{ALLOWING_EGRESS, CONTROLLER, DENIES, Deny, PROTOCOLS, TABLES, cookie, number};

/// An observer that runs while this lives.
struct Watching {
    runtime: tokio::runtime::Runtime,
    denials: Denials,
    counts: Arc<Counts>,
    counters: Counters,
}

impl Watching {
    fn start(options: impl FnOnce() -> Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (counts, counters) = (Arc::new(Counts::default()), Counters::default());
        let (reporter, denials) = channel(10_000, Arc::clone(&counts));
        let guard = runtime.enter();
        let options = options();
        runtime.spawn(watch(options, reporter, counters.clone(), now_ns));
        drop(guard);
        Self { runtime, denials, counts, counters }
    }

    fn of(lab: &Lab) -> Self {
        let socket = lab.bridge();
        let watching = Self::start(|| Options { socket, ..Options::of_bridge("br-int") });
        until("the observer watches", || watching.counts.is_active(Source::Ovs));
        watching
    }

    /// Takes packets until there are as many as were sent, and the switch has counted as many.
    #[track_caller]
    fn take(&mut self, lab: &Lab, sent: usize) -> Vec<Denied> {
        let mut taken = Vec::new();
        until("as many packets are told as sent", || {
            taken.extend(std::iter::from_fn(|| self.denials.take()));
            taken.len() >= sent
        });
        // It adds up its counters from time to time.
        until("the switch has counted as many", || {
            denied_by_the_switch(lab).values().sum::<u64>() >= u64::try_from(sent).unwrap()
        });
        taken.extend(std::iter::from_fn(|| self.denials.take()));
        assert_eq!(taken.len(), sent);
        taken
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

/// Sets up the pipeline, with names of tables as the Agent gives them.
fn pipeline(lab: &Lab) {
    for (name, number) in TABLES {
        lab.vsctl(&format!(
            "-- --id=@t create Flow_Table name={name} -- set Bridge br-int flow_tables:{number}=@t"
        ));
    }
    lab.ofctl("add-meter", "meter=256,pktps,burst,bands=type=drop,rate=5000,burst_size=10000");
    lab.add_flows(&pipeline::flows());
}

/// Packets that each denying flow has counted, by its cookie.
fn denied_by_the_switch(lab: &Lab) -> BTreeMap<u64, u64> {
    let mut denied = BTreeMap::new();
    for line in lab.ofctl("dump-flows", "--no-names").lines() {
        let value = |key: &str| {
            let (_, rest) = line.split_once(key)?;
            rest.split([',', ' ']).next()
        };
        let Some(cookie) = value("cookie=0x").filter(|cookie| *cookie != "0") else { continue };
        let cookie = u64::from_str_radix(cookie, 16).unwrap();
        let packets: u64 = value("n_packets=").unwrap().parse().unwrap();
        if packets > 0 {
            denied.insert(cookie, packets);
        }
    }
    denied
}

/// Sends three UDP datagrams and a SYN to each port by each version of IP, and a ping or two.
/// Returns how many packets these are.
fn make_traffic(lab: &Lab) -> usize {
    let ports = DENIES.map(|deny| deny.port.to_string()).join(",");
    lab.client(&format!(
        "python3 - <<'PYTHON'
import socket
for family, peer in (socket.AF_INET, '{SERVER4}'), (socket.AF_INET6, '{SERVER6}'):
    syns = []
    for port in ({ports}):
        for size in range(3):
            with socket.socket(family, socket.SOCK_DGRAM) as it:
                it.sendto(bytes(size * 10), (peer, port))
        it = socket.socket(family, socket.SOCK_STREAM)
        it.setblocking(False)
        it.connect_ex((peer, port))
        syns.append(it)
PYTHON"
    ));
    for deny in &DENIES {
        let tos = pipeline::type_of_service(deny.port);
        lab.client(&format!(
            "ping -q -c2 -i0.01 -W1 -Q {tos} {SERVER4} >/dev/null & \
             ping -6 -q -c1 -W1 -Q {tos} {SERVER6} >/dev/null & wait"
        ));
    }
    DENIES.len() * (2 * (3 + 1) + 2 + 1)
}

/// The flow that must have denied a packet.
fn denied_by(denied: &Denied) -> (&'static Deny, u64) {
    let direction = |table: &str| {
        if table.contains("Egress") { Direction::Egress } else { Direction::Ingress }
    };
    let matches = |deny: &&Deny| {
        let rule = match denied.rule {
            RuleRef::Id(id) => id == deny.rule,
            RuleRef::IsolationDrop => deny.rule == 0,
            _ => false,
        };
        let action = if deny.disposition == 2 { Action::Reject } else { Action::Drop };
        rule && denied.direction == Some(direction(deny.table)) && denied.action == action
    };
    let deny = DENIES.iter().find(matches).unwrap_or_else(|| panic!("nothing denied {denied:?}"));
    let tuple = &denied.original;
    let ends = (tuple.source(), tuple.destination());
    let protocol = match (tuple.protocol(), ends.0.is_ipv6()) {
        (6, false) => "tcp",
        (17, false) => "udp",
        (1, false) => "icmp",
        (6, true) => "tcp6",
        (17, true) => "udp6",
        (58, true) => "icmp6",
        _ => panic!("{denied:?}"),
    };
    let expected = if ends.0.is_ipv6() { (CLIENT6, SERVER6) } else { (CLIENT4, SERVER4) };
    assert_eq!(ends, (expected.0.parse().unwrap(), expected.1.parse().unwrap()));
    if protocol.starts_with("icmp") {
        let kind = if ends.0.is_ipv6() { 128 } else { 8 };
        assert_eq!(tuple.as_icmp().map(|icmp| (icmp.kind, icmp.code)), Some((kind, 0)));
    } else {
        assert_eq!(tuple.destination_port(), deny.port);
        assert!(tuple.source_port() >= 1024);
    }
    (deny, cookie(deny, protocol))
}

#[test]
fn every_denied_packet_is_told_as_the_switch_counts_it() {
    lab::run("every_denied_packet_is_told_as_the_switch_counts_it", |lab| {
        pipeline(lab);
        let before = state(lab);
        let second = Monitor::start(lab);
        let mut watching = Watching::of(lab);
        assert!(watching.counters.flows() == 4, "{} flows", watching.counters.flows());
        let start = now_ns();

        let sent = make_traffic(lab);
        let told = watching.take(lab, sent);
        let expected = denied_by_the_switch(lab);
        // Each way to deny has denied each protocol.
        assert_eq!(expected.len(), DENIES.len() * PROTOCOLS.len());
        let mut counted = BTreeMap::new();
        for denied in &told {
            let (deny, cookie) = denied_by(denied);
            *counted.entry(cookie).or_default() += denied.packets;
            assert!(denied.time_ns >= start && denied.time_ns <= now_ns());
            let ingress = denied.direction == Some(Direction::Ingress);
            assert_eq!(denied.other_rule, ingress.then_some(ALLOWING_EGRESS), "{denied:?}");
            assert_eq!((denied.service, denied.mark), (None, Some(0)), "port {}", deny.port);
        }
        assert_eq!(counted, expected);
        assert_eq!(octets(&told), octets_counted(lab));
        second.has_seen(told.len());
        for why in Passed::ALL {
            assert_eq!(watching.counters.passed_over(why), 0, "{why:?}");
        }
        for loss in Loss::ALL {
            assert_eq!(watching.counts.losses(Source::Ovs, loss), 0, "{loss:?}");
        }
        assert_eq!(watching.counters.sessions(), 1);
        drop(watching);
        drop(second);
        assert_eq!(state(lab), before);
    });
}

/// The switch counts Ethernet frames; of IP and its payload are all but 14 bytes.
fn octets(told: &[Denied]) -> u64 {
    told.iter().map(|denied| denied.octets).sum()
}

fn octets_counted(lab: &Lab) -> u64 {
    let flows = lab.ofctl("dump-flows", "--no-names");
    let denying =
        flows.lines().filter(|line| line.contains("reg2") && !line.contains("cookie=0x0,"));
    let number = |line: &str, key: &str| -> u64 {
        line.split_once(key).unwrap().1.split(',').next().unwrap().parse().unwrap()
    };
    denying.map(|line| number(line, "n_bytes=") - 14 * number(line, "n_packets=")).sum()
}

#[test]
fn an_isolated_service_keeps_its_address_and_no_rule() {
    lab::run("an_isolated_service_keeps_its_address_and_no_rule", |lab| {
        pipeline(lab);
        let mut watching = Watching::of(lab);
        // The endpoint's address is in register 3 when isolation drops the packet for port 80.
        lab.client(&format!(
            "python3 -c \"
import socket
for port in (80, 81):
    it = socket.socket(); it.setblocking(False); it.connect_ex(('{SERVICE4}', port))
\""
        ));
        let told = watching.take(lab, 2);
        let service: IpAddr = SERVICE4.parse().unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|it| {
                let destination = (it.original.destination(), it.original.destination_port());
                (destination, it.service, it.direction, it.rule.clone(), it.mark)
            })
            .collect();
        let server: IpAddr = SERVER4.parse().unwrap();
        let ingress = Some(Direction::Ingress);
        let mark = Some(0x13);
        assert_eq!(
            told,
            [
                ((server, 9006), Some((service, 80)), ingress, RuleRef::IsolationDrop, mark),
                ((server, 9004), Some((service, 81)), ingress, RuleRef::Id(13), mark),
            ]
        );
    });
}

#[test]
fn packet_ins_of_others_are_passed_over() {
    lab::run("packet_ins_of_others_are_passed_over", |lab| {
        pipeline(lab);
        let actions = [
            ("paused", format!("controller(id={CONTROLLER},userdata=01.04,pause)")),
            ("other category", format!("controller(id={CONTROLLER},userdata=02.04)")),
            ("no user data", format!("controller(id={CONTROLLER})")),
            ("not stored", format!("controller(id={CONTROLLER},userdata=01.03)")),
            ("not denied", format!("controller(id={CONTROLLER},userdata=01.04)")),
            ("another controller", "controller(id=1,userdata=01.04)".to_owned()),
            ("no controller", "controller(userdata=01.04)".to_owned()),
        ];
        let classifier = number("Classifier");
        for (port, (_, action)) in (9101..).zip(&actions) {
            lab.add_flows(&format!(
                "table={classifier},priority=300,udp,tp_dst={port},actions={action}"
            ));
        }
        let mut watching = Watching::of(lab);
        lab.client(&format!(
            "python3 -c \"
import socket
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(9101, 9108): it.sendto(b'', ('{SERVER4}', port))
it.sendto(b'', ('{SERVER4}', 9001))
\""
        ));
        // The last packet is denied, and the switch keeps their order.
        watching.take(lab, 1);
        let passed = |why| watching.counters.passed_over(why);
        assert_eq!(passed(Passed::Paused), 1);
        assert_eq!(passed(Passed::OtherCategory), 2);
        assert_eq!(passed(Passed::NotStored), 1);
        assert_eq!(passed(Passed::NotDenied), 1);
        assert_eq!(passed(Passed::NotIp) + passed(Passed::Unreadable), 0);
    });
}

#[test]
fn nothing_is_said_that_changes_the_switch() {
    lab::run("nothing_is_said_that_changes_the_switch", |lab| {
        pipeline(lab);
        // What a careless observer would set back.
        lab.ofctl("set-frags", "drop");
        let before = state(lab);
        let (folder, switch) = (lab.path(""), lab.bridge());
        let mut said = proxy::Said::default();
        let mut watching = Watching::start(|| {
            let (socket, passed) = proxy::start(&folder, switch);
            said = passed;
            Options { socket, ..Options::of_bridge("br-int") }
        });
        until("the observer watches", || watching.counts.is_active(Source::Ovs));
        let sent = make_traffic(lab);
        watching.take(lab, sent);
        // Long enough for a probe, and for a second look at the flows.
        until("the observer looks at the flows again", || {
            said.messages().iter().filter(|it| foreign_name(lab, it).contains("OFPST_FLOW")).count()
                > 1
        });
        let names: Vec<_> = said.messages().iter().map(|it| foreign_name(lab, it)).collect();
        for name in &names {
            let allowed = [
                "OFPT_HELLO (OF1.5)",
                "OFPT_ECHO_REQUEST (OF1.5)",
                "OFPT_ECHO_REPLY (OF1.5)",
                "NXT_SET_PACKET_IN_FORMAT (OF1.5)",
                "NXT_SET_CONTROLLER_ID (OF1.5)",
                "OFPT_SET_ASYNC (OF1.5)",
                "OFPST_TABLE_FEATURES request (OF1.5)",
                "OFPST_FLOW request (OF1.5)",
            ];
            assert!(allowed.iter().any(|it| name.starts_with(it)), "{name}");
        }
        assert!(names.len() >= 8, "{names:#?}");
        // With a body it would set the tables' features.
        let features =
            names.iter().zip(said.messages()).filter(|(name, _)| name.contains("FEATURES"));
        assert!(features.map(|(_, message)| message.len() / 2).all(|length| length == 16));
        drop(watching);
        assert_eq!(state(lab), before);
    });
}

/// What `ovs-ofctl` takes a message for.
fn foreign_name(lab: &Lab, message: &str) -> String {
    let printed = lab.sh(&format!("ovs-ofctl ofp-print {message}"));
    printed.lines().next().unwrap().to_owned()
}

#[test]
fn a_new_agent_and_a_new_switch_are_followed() {
    lab::run("a_new_agent_and_a_new_switch_are_followed", |lab| {
        // The gate is off at first: no flow tells of denied packets.
        lab.add_flows("table=0,actions=NORMAL");
        let socket = lab.bridge();
        let mut watching = Watching::start(|| Options { socket, ..Options::of_bridge("br-int") });
        until("a session begins", || watching.counters.sessions() == 1);
        lab.sh("ovs-ofctl -O OpenFlow15 del-flows unix:br-int.mgmt");
        pipeline(lab);
        until("the observer watches", || watching.counts.is_active(Source::Ovs));
        let one = format!(
            "python3 -c \"
import socket
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
it.sendto(b'', ('{SERVER4}', 9001))
\""
        );
        lab.client(&one);
        let told = watching.take(lab, 1);
        // Names that have come since the session began are known, too.
        assert_eq!(told[0].direction, Some(Direction::Egress));

        // The Agent starts anew and draws another number.
        let flows = pipeline::flows().replace(&format!("id={CONTROLLER}"), "id=4711");
        lab.add_flows(&flows);
        let mut sent = 1;
        until("packets for the new controller are told", || {
            lab.client(&one);
            sent += 1;
            watching.denials.take().is_some()
        });
        assert_eq!((watching.counters.sessions(), sent > 1), (1, true));

        // The switch hangs up.
        lab.vsctl("del-br br-int");
        until("the session is over", || watching.counters.sessions_ended("closed") == 1);
        assert!(!watching.counts.is_active(Source::Ovs));
        lab.vsctl("add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure protocols=OpenFlow10,OpenFlow15 -- add-port br-int c0 -- add-port br-int s0");
        pipeline(lab);
        until("the observer watches again", || watching.counts.is_active(Source::Ovs));
        while watching.denials.take().is_some() {}
        lab.client(&one);
        watching.take(lab, 1);

        // A bridge that does not speak our version.
        lab.vsctl("set bridge br-int protocols=OpenFlow10,OpenFlow13");
        until("the session is refused", || watching.counters.sessions_ended("version") > 0);
        drop(watching.runtime);
    });
}

/// Flows without their counters and ages, groups, meters, tables, fragment mode.
fn state(lab: &Lab) -> Vec<String> {
    vec![
        lab.ofctl("dump-flows", "--no-stats"),
        lab.ofctl("dump-groups", ""),
        lab.ofctl("dump-meters", ""),
        lab.ofctl("dump-table-desc", ""),
        lab.ofctl("dump-table-features", ""),
        lab.ofctl("get-frags", ""),
        lab.ofctl("show", ""),
        lab.vsctl("get bridge br-int flow_tables"),
    ]
}

/// Another observer.
struct Monitor {
    output: std::path::PathBuf,
    _running: lab::Running,
}

impl Monitor {
    fn start(lab: &Lab) -> Self {
        let (output, bridge) = (lab.path("monitor.out"), lab.bridge());
        let bridge = format!("unix:{}", bridge.display());
        let arguments = [
            "-O",
            "OpenFlow15",
            "-P",
            "nxt_packet_in2",
            "--unixctl=monitor.ctl",
            "monitor",
            &bridge,
            "65534",
        ];
        let running = lab.spawn("ovs-ofctl", &arguments, &output);
        until("the monitor is there", || lab.path("monitor.ctl").exists());
        let take_id = format!("060400180000000100002320000000140000000000{CONTROLLER:06x}");
        lab.sh(&format!("ovs-appctl -t $PWD/monitor.ctl ofctl/send {take_id}"));
        Self { output, _running: running }
    }

    fn has_seen(&self, count: usize) {
        until("the other observer has seen as much", || {
            let seen = fs::read_to_string(&self.output).unwrap();
            seen.matches("NXT_PACKET_IN2").count() == count
        });
    }
}
