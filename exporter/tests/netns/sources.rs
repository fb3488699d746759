//! What the source makes of a real kernel, judged by `conntrack`.

use std::net::UdpSocket;
use std::sync::Arc;

use exporter::clients::ExternalClient;
use exporter::conntrack::{CtMark, Kind, Labels, MarkedSource, Tuple, tcp_state};
use exporter::enrich::Enricher;
use exporter::meter::EndReason;
use exporter::metrics::Metrics;
use exporter::observe::Observer;
use exporter::zones::{Part, Zones};

use super::lab::{NODE4, sh};
use super::*;

fn listed() -> Connections {
    parse_all(&sh("conntrack -L -o id 2>/dev/null; conntrack -L -f ipv6 -o id 2>/dev/null"))
}

fn dumped(source: &mut NetlinkSource, zones: &[u16]) -> Connections {
    let mut dumped = Connections::new();
    source.start_dump(zones).unwrap();
    let mut take = |entry: &Entry| {
        dumped.insert(entry.id, told(entry));
    };
    while source.next_chunk(&mut take).unwrap() == DumpProgress::More {}
    dumped
}

#[test]
fn old_kernels_are_dumped_once_for_all_zones() {
    lab::run("sources::old_kernels_are_dumped_once_for_all_zones", || {
        (6500..6600).chain(7000..7050).for_each(|port| send_udp(PEER4, port, 3));
        send_udp(PEER6, 7001, 3);
        let listed = listed();
        let of_zone = |zone| {
            let of = listed.iter().filter(|(_, told)| told.zone == zone);
            of.map(|(id, told)| (*id, told.clone())).collect::<Connections>()
        };
        let mut source = NetlinkSource::open(NetlinkOptions::default()).unwrap();
        assert_same(&dumped(&mut source, &[0]), &of_zone(0));
        assert!(source.dumps_apart(), "this kernel looks at the zone");
        assert_eq!(source.tally().foreign_zone, 0);

        let options = NetlinkOptions { ask_for_zone: false, ..NetlinkOptions::default() };
        let mut source = NetlinkSource::open(options).unwrap();
        assert!(source.dumps_apart(), "nothing is known yet");
        assert_same(&dumped(&mut source, &[ZONE]), &of_zone(ZONE));
        assert!(!source.dumps_apart() && source.tally().foreign_zone == 100);
        assert_same(&dumped(&mut source, &[0, ZONE]), &listed);
        assert_eq!(listed.len(), 151);

        let options = NetlinkOptions { ask_for_zone: false, ..NetlinkOptions::default() };
        let mut observer = observer(options, Zones::plain(&[0, ZONE]));
        (0..20).for_each(|_| observer.observe(now()).unwrap());
        assert_eq!((observer.source.tally().dumps, observer.rounds()), (2, 1));
        assert_eq!(observer.meter.stats().live, 151);
        let next = now() + 20_000_000_000;
        (0..20).for_each(|step| observer.observe(next + step).unwrap());
        assert_eq!((observer.source.tally().dumps, observer.rounds()), (3, 2));
    });
}

#[test]
fn marks_labels_states_and_times_are_conntracks() {
    lab::run("sources::marks_labels_states_and_times_are_conntracks", || {
        let _server = lab::echo_server();
        sh("nft 'add chain inet zones notes { type filter hook output priority 10; }
            add rule inet zones notes tcp dport 8080 ct mark set 0x13
            add rule inet zones notes tcp dport 8080 ct label set 0
            add rule inet zones notes tcp dport 8080 ct label set 33
            add rule inet zones notes tcp dport 8080 ct label set 66'");
        let stream = TcpStream::connect((PEER4, ECHO_PORT)).unwrap();
        let line = sh("conntrack -L -p tcp -m 0x13 -o extended,id,ktimestamp 2>/dev/null");
        let mut entries = Vec::new();
        let mut source = NetlinkSource::open(NetlinkOptions::default()).unwrap();
        source.start_dump(&[0]).unwrap();
        while source.next_chunk(&mut |entry| entries.push(*entry)).unwrap() == DumpProgress::More {}
        // The server was asked before whether it is up.
        entries.retain(|entry: &Entry| entry.mark != 0);
        let [entry] = entries[..] else { panic!("{entries:?}") };
        assert!(line.contains(&format!(" mark={} ", entry.mark)), "{line}");
        assert!(line.contains(&format!(" id={}", entry.id)), "{line}");
        let state = entry.tcp_state.and_then(tcp_state::name).unwrap();
        assert!(line.contains(&format!(" {state} ")), "{line}");
        assert_eq!(CtMark(entry.mark).source(), Some(MarkedSource::LocalPod));
        let labels = Labels(entry.labels.unwrap());
        assert_eq!((labels.ingress_rule(), labels.egress_rule()), (Some(1), Some(2)));
        assert_eq!(labels.l7_vlan(), Some(4));
        let start = line.split_once("[start=").unwrap().1.split_once(']').unwrap().0;
        let seconds = sh(&format!("date -d '{start}' +%s"));
        assert_eq!(entry.start_ns.unwrap() / 1_000_000_000, seconds.trim().parse::<u64>().unwrap());
        drop(stream);
    });
}

#[test]
fn protocols_are_read_as_conntrack_reads_them() {
    lab::run("sources::protocols_are_read_as_conntrack_reads_them", || {
        let ends = "-s 10.9.0.7 -d 10.9.0.8 -t 100 -u SEEN_REPLY";
        for line in [
            "-p sctp --sport 1000 --dport 2000 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
            "-p udplite --sport 1001 --dport 2001",
            "-p gre --srckey 0x11 --dstkey 0x22",
            "-p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77",
            "-p tcp --sport 1002 --dport 2002 --state TIME_WAIT -w 65510",
            "-p udp --sport 1003 --dport 2003 -m 0x42",
        ] {
            sh(&format!("conntrack -I {ends} {line} 2>&1"));
        }
        sh("conntrack -I -s fd09::7 -d fd09::8 -t 100 -p icmpv6 --icmpv6-type 128 \
            --icmpv6-code 0 --icmpv6-id 78 2>&1");
        let text = sh("conntrack -L -o extended,id 2>/dev/null; \
                       conntrack -L -f ipv6 -o extended,id 2>/dev/null");
        // Words of the longer form: the family and its number come first. GRE's keys are hex.
        let text: String = text
            .lines()
            .map(|line| {
                let rest = line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
                let rest =
                    rest.replace("srckey=0x11", "sport=17").replace("dstkey=0x22", "dport=34");
                rest + "\n"
            })
            .collect();
        let mut listed = parse_all(&text);
        // Nothing has been counted of what was made by hand.
        for told in listed.values_mut() {
            told.counters = Counters::default();
        }
        let mut source = NetlinkSource::open(NetlinkOptions::default()).unwrap();
        assert_same(&dumped(&mut source, &[0, 65510]), &listed);
        let mut protocols: Vec<_> = listed.values().map(|told| told.protocol).collect();
        protocols.sort_unstable();
        assert_eq!(protocols, [1, 6, 17, 47, 58, 132, 136]);

        // Each can be asked for alone.
        let mut entries = Vec::new();
        source.start_dump(&[0, 65510]).unwrap();
        while source.next_chunk(&mut |entry| entries.push(*entry)).unwrap() == DumpProgress::More {}
        for entry in entries {
            let mut answers = Vec::new();
            let take = &mut |answer: &Entry| answers.push((answer.id, answer.kind));
            assert!(source.look_up(entry.zone, &entry.original, take).unwrap(), "{entry:?}");
            assert_eq!(answers, [(entry.id, Kind::Update)]);
        }
        let end = (PEER4.parse().unwrap(), 9);
        assert!(!source.look_up(0, &Tuple::new(end, end, 17), &mut |_| {}).unwrap());
        assert_eq!((source.tally().look_ups, source.tally().look_ups_missed), (8, 1));
    });
}

/// Starts, then ends 2000 connections without reading an event in between.
fn overrun() -> Connections {
    (10_000..12_000).for_each(|port| send_udp(PEER4, port, 1));
    let listed = listed();
    assert_eq!(listed.len(), 2000);
    sh("conntrack -F 2>&1");
    listed
}

#[test]
fn reliable_events_are_held_back_and_not_lost() {
    lab::run("sources::reliable_events_are_held_back_and_not_lost", || {
        let tiny = NetlinkOptions { receive_buffer: 4096, ..NetlinkOptions::default() };
        let mut node = Node::open(NetlinkOptions { reliable: true, ..tiny.clone() });
        let listed = overrun();
        // The kernel tries again in its own time.
        lab::until("every end is told", || {
            assert!(!node.take_events());
            node.take_records();
            node.records.len() == listed.len()
        });
        assert_same(&node.records, &listed);
        let tally = node.source.tally();
        assert!(tally.held_back > 0 && tally.overruns == 0, "{tally:?}");
        assert_eq!(node.meter.stats().vanished, 0);

        let mut node = Node::open(tiny);
        let listed = overrun();
        assert!(node.take_events(), "the loss is seen");
        node.dump_all();
        node.take_records();
        let tally = node.source.tally();
        assert!(node.records.len() < listed.len() && tally.overruns > 0, "{tally:?}");
    });
}

#[test]
fn tcp_that_is_over_is_told_before_its_entry_ends() {
    lab::run("sources::tcp_that_is_over_is_told_before_its_entry_ends", || {
        let _server = lab::echo_server();
        let mut observer = observer(NetlinkOptions::default(), Zones::plain(&[0]));
        (0..9).for_each(|_| observer.observe(now()).unwrap());
        echo_tcp(PEER4, 5000);
        let gone = || sh("conntrack -L -p tcp -o id 2>/dev/null");
        lab::until("the connection is over", || gone().contains("TIME_WAIT"));
        observer.source.wait(Duration::from_secs(1)).unwrap();
        observer.observe(now()).unwrap();
        let mut told = Vec::new();
        // Far from every timeout; the wheel turns every 100 ms.
        observer.meter.due(
            now() + 200_000_000,
            9,
            Set::ALL,
            |_| false,
            |due, _| {
                told.push((due.id, due.reason, due.totals));
                Set::EMPTY
            },
        );
        let mut listed = parse_all(&gone());
        // What the server was asked before may linger, half forgotten.
        listed.retain(|_, told| told.counters.reverse_packets > 0);
        let expected: Vec<_> =
            listed.iter().map(|(&id, told)| (id, EndReason::EndOfFlow, told.counters)).collect();
        assert_eq!(told, expected);
        assert_eq!((expected.len(), observer.source.tally().dumps), (1, 1));
        sh("conntrack -D -p tcp 2>&1");
        observer.observe(now()).unwrap();
        assert_eq!(observer.meter.stats().closed_without_news, 1, "its end has no more to tell");
    });
}

#[test]
fn zeroed_counters_add_up() {
    lab::run("sources::zeroed_counters_add_up", || {
        let socket = UdpSocket::bind((NODE4, 5000)).unwrap();
        let mut node = Node::open(NetlinkOptions::default());
        let mut sent = 0;
        // One that grows beyond what was seen of it before would not be noticed.
        for packets in [9, 5, 2, 1] {
            for _ in 0..packets {
                socket.send_to(&[7; 72], (PEER4, 6000)).unwrap();
            }
            sent += packets;
            // Somebody who takes the counters and sets them to zero, as kubenetmon does.
            node.dump_all();
            let taken = parse_all(&sh("conntrack -L -z -o id 2>/dev/null"));
            assert_eq!(taken.values().next().unwrap().counters.packets, packets);
        }
        sh("conntrack -F 2>&1");
        node.finish();
        let counters: Vec<_> = node.records.values().map(|told| told.counters).collect();
        let expected = Counters { packets: sent, octets: 100 * sent, ..Counters::default() };
        assert_eq!(counters, [expected]);
        assert!(node.meter.stats().counter_resets >= 2, "{:?}", node.meter.stats());
    });
}

#[test]
fn clients_are_found_behind_the_hosts_rules() {
    lab::run("sources::clients_are_found_behind_the_hosts_rules", || {
        let _server = lab::echo_server();
        sh("ip addr add 192.0.2.9/32 dev lo; ip route add 10.99.0.1/32 dev v0
            nft 'add table ip n
            add chain ip n out { type nat hook output priority -100; }
            add chain ip n post { type nat hook postrouting priority 100; }
            add rule ip n out ip daddr 10.99.0.1 udp dport 30080 dnat to 10.9.0.2:8080
            add rule ip n post ip saddr 192.0.2.9 meta l4proto udp masquerade to :40000-40999'");
        let client = UdpSocket::bind("192.0.2.9:6000").unwrap();
        client.send_to(b"hello", "10.99.0.1:30080").unwrap();
        let line = sh("conntrack -L -p udp -o id 2>/dev/null");
        let translated = line.split("dport=").nth(2).unwrap().split(' ').next().unwrap();
        // What Antrea's pipeline would commit: the connection as it leaves the host's rules.
        sh(&format!(
            "conntrack -I -w 65520 -m 2 -p udp -s 10.9.0.1 -d 10.9.0.2 --sport {translated} \
             --dport 8080 -t 60 2>&1"
        ));
        let mut observer = observer(NetlinkOptions::default(), Zones::of(&[Part::Antrea]));
        (0..20).for_each(|_| observer.observe(now()).unwrap());
        assert_eq!(observer.meter.stats().live, 1, "zone 0 is not recorded");
        let clients = observer.clients().tally();
        assert_eq!((clients.known, clients.live), (1, 1));
        let port = translated.parse().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (gateway, pod) = ((ip("10.9.0.1"), port), (ip("10.9.0.2"), 8080));
        let (original, reply) = (Tuple::new(gateway, pod, 17), Tuple::new(pod, gateway, 17));
        let due = exporter::meter::Due {
            original: &original,
            reply: &reply,
            zone: 65520,
            id: 0,
            mark: 2,
            labels: None,
            status: 0,
            tcp_state: None,
            denied: None,
            start_ns: now(),
            end_ns: now(),
            totals: Counters::default(),
            deltas: Counters::default(),
            reason: EndReason::ActiveTimeout,
        };
        let expected = ExternalClient {
            address: ip("192.0.2.9"),
            port: 6000,
            translated: Some(gateway),
            destination: (ip("10.99.0.1"), 30080),
        };
        assert_eq!(observer.clients().find(&due), Some(expected), "{line}");
    });
}

fn observer(options: NetlinkOptions, zones: Zones) -> Observer<NetlinkSource> {
    let timeout = Duration::from_secs(100);
    let limits = Limits { connections: 1000 };
    let mut meter = Meter::new(limits);
    meter.add(Timeouts::new(timeout, timeout), now()).unwrap();
    let cluster = "nodes: [{name: a, podCIDRs: [10.9.0.0/24]}]\npods: []\n";
    let cluster = Arc::new(k8s::Cluster::from_yaml(cluster).unwrap());
    let enricher = Enricher::new(cluster, "a");
    let source = NetlinkSource::open(options).unwrap();
    let metrics: Arc<Metrics> = Arc::default();
    Observer::new(source, meter, enricher, zones, Duration::from_secs(10), metrics)
}
