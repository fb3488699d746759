//! Real kernel conntrack in private network namespaces.
//!
//! What is expected comes from `conntrack`, which reads the same kernel with other code. Needs
//! root and a few Debian packages, and fails saying which if it cannot run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "netns/lab.rs"]
mod lab;
#[path = "netns/denied.rs"]
mod denied;
#[path = "netns/sources.rs"]
mod sources;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, Shutdown, TcpStream, UdpSocket},
    thread,
    time::{Duration, SystemTime},
};

use exporter::{
    conntrack::{
        ConnectionSource, Counters, DumpProgress, Entry, NetlinkOptions, NetlinkSource,
        check_sysctls,
    },
    meter::{Limits, Meter, Set, Timeouts},
};
use lab::{ECHO_PORT, EventLog, PEER4, PEER6, sh};

const ZONE: u16 = 65520;
/// What both readers say about a connection, by the words of `conntrack`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// Ports, or ICMP's type and code.
    first: u16,
    second: u16,
    icmp_id: u16,
    zone: u16,
    counters: Counters,
}

type Connections = BTreeMap<u32, Told>;

#[test]
fn records_add_up_to_what_conntrack_says() {
    lab::run("records_add_up_to_what_conntrack_says", || {
        let _server = lab::echo_server();
        let log = EventLog::of_destroy_events();
        let mut node = Node::open(NetlinkOptions::default());

        let traffic = thread::spawn(make_traffic);
        while !traffic.is_finished() {
            node.round();
        }
        traffic.join().unwrap();
        node.round();
        // One by one: a flush is more than the buffer of `conntrack -E` takes at once.
        for family in ["ipv4 -p tcp", "ipv4 -p udp", "ipv4 -p icmp", "ipv6"] {
            sh(&format!("conntrack -D -f {family} 2>&1"));
        }
        node.finish();

        let expected = parse_all(&log.finish());
        assert!(expected.len() >= 300, "only {} connections", expected.len());
        assert_same(&node.records, &expected);
        let (tally, stats) = (node.source.tally(), node.meter.stats());
        assert_eq!((tally.malformed, tally.incomplete, tally.overruns), (0, 0, 0), "{tally:?}");
        assert_eq!((stats.vanished, stats.counter_resets, stats.stored), (0, 0, 0), "{stats:?}");
    });
}

#[test]
fn a_dump_shows_one_zone_as_conntrack_does() {
    lab::run("a_dump_shows_one_zone_as_conntrack_does", || {
        for port in (6500..6800).chain(7000..7400) {
            send_udp(PEER4, port, 3);
            send_udp(PEER6, port, 5);
        }
        ping_both(4);
        let listed = parse_all(&sh("conntrack -L -o id 2>/dev/null; conntrack -L -f ipv6 -o id"));
        for zone in [0, ZONE, 5] {
            let mut expected = listed.clone();
            expected.retain(|_, told| told.zone == zone);
            let mut source = NetlinkSource::open(NetlinkOptions::default()).unwrap();
            let mut dumped = Connections::new();
            dump(&mut source, zone, |entry| {
                dumped.insert(entry.id, told(entry));
            });
            assert_same(&dumped, &expected);
        }
        assert_eq!(listed.len(), 1408);
    });
}

#[test]
fn what_an_overrun_hid_is_found_by_the_next_dump() {
    lab::run("what_an_overrun_hid_is_found_by_the_next_dump", || {
        let options = NetlinkOptions { receive_buffer: 4096, ..NetlinkOptions::default() };
        let mut node = Node::open(options);
        (10_000..12_000).for_each(|port| send_udp(PEER4, port, 1));
        assert!(node.take_events(), "2000 events fit into 4 KiB");
        node.dump_all();
        let listed = parse_all(&sh("conntrack -L -o id 2>/dev/null"));
        assert_eq!(listed.len(), 2000);

        sh("conntrack -F 2>&1");
        assert!(node.take_events(), "2000 events fit into 4 KiB");
        node.dump_all();
        node.take_records();
        assert_same(&node.records, &listed);
        let stats = node.meter.stats();
        assert!(stats.vanished > 1000 && stats.live == 0, "{stats:?}");
        assert_eq!(node.source.tally().overruns, 2);
    });
}

#[test]
fn settings_that_are_off_are_named() {
    lab::run("settings_that_are_off_are_named", || {
        assert_eq!(check_sysctls().len(), 0);
        sh("sysctl -qw net.netfilter.nf_conntrack_acct=0");
        let problems: Vec<_> = check_sysctls().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "net.netfilter.nf_conntrack_acct is 0, so connections that begin now are not counted \
              and never reported; set it to 1"
            ]
        );
    });
}

/// A source, a meter, and what came out of it.
struct Node {
    source: NetlinkSource,
    meter: Meter,
    records: Connections,
}

impl Node {
    fn open(options: NetlinkOptions) -> Self {
        let short = Duration::from_millis(100);
        let mut meter = Meter::new(Limits { connections: 100_000 });
        meter.add(Timeouts::new(short, short), now()).unwrap();
        Self { source: NetlinkSource::open(options).unwrap(), meter, records: Connections::new() }
    }

    /// As the exporter does: events, a dump of each zone, records.
    fn round(&mut self) {
        self.source.wait(Duration::from_millis(10)).unwrap();
        self.take_events();
        self.dump_all();
        self.take_records();
    }

    /// Returns whether events were lost.
    fn take_events(&mut self) -> bool {
        let Self { source, meter, .. } = self;
        let mut overrun = false;
        loop {
            let events = source.events(&mut |entry| meter.observe(entry, now())).unwrap();
            overrun |= events.overrun;
            if events.drained {
                return overrun;
            }
        }
    }

    fn dump_all(&mut self) {
        for zone in [0, ZONE] {
            self.meter.dump_started(zone);
            self.source.start_dump(&[zone]).unwrap();
            loop {
                let Self { source, meter, .. } = self;
                let chunk = source.next_chunk(&mut |entry| meter.observe(entry, now()));
                let progress = chunk.unwrap();
                // Also before the next chunk, so that events overtake dump entries.
                self.take_events();
                if progress != DumpProgress::More {
                    self.meter.dump_finished(zone, progress == DumpProgress::Done);
                    break;
                }
            }
        }
    }

    fn take_records(&mut self) {
        let Self { meter, records, .. } = self;
        meter.due(
            now(),
            usize::MAX,
            Set::ALL,
            |_| false,
            |due, _| {
                let entry = Entry {
                    id: due.id,
                    zone: due.zone,
                    ..Entry::new(exporter::conntrack::Kind::Dump, *due.original, *due.reply)
                };
                let sum = &mut records.entry(due.id).or_insert_with(|| told(&entry)).counters;
                sum.packets += due.deltas.packets;
                sum.octets += due.deltas.octets;
                sum.reverse_packets += due.deltas.reverse_packets;
                sum.reverse_octets += due.deltas.reverse_octets;
                assert_eq!(*sum, due.totals);
                Set::EMPTY
            },
        );
    }

    /// Takes the ends of all connections.
    fn finish(&mut self) {
        thread::sleep(Duration::from_millis(200));
        self.take_events();
        self.take_records();
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

fn dump(source: &mut NetlinkSource, zone: u16, mut visit: impl FnMut(&Entry)) {
    source.start_dump(&[zone]).unwrap();
    while source.next_chunk(&mut visit).unwrap() == DumpProgress::More {}
}

fn make_traffic() {
    for round in 0..20 {
        for (index, peer) in [PEER4, PEER6].into_iter().enumerate() {
            // Ports 7000 and up are in the zone, and refused.
            for port in [7000, 7001, 9] {
                TcpStream::connect((peer, port)).unwrap_err();
                send_udp(peer, port + 10, 100 * round);
            }
            echo_tcp(peer, 3000 * round + index);
        }
        ping_both(2);
    }
}

fn send_udp(peer: &str, port: u16, size: usize) {
    let any = if peer == PEER4 { "0.0.0.0" } else { "::" };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.send_to(&vec![7; size], (peer, port)).unwrap();
}

fn echo_tcp(peer: &str, size: usize) {
    let mut stream = TcpStream::connect((peer, ECHO_PORT)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&vec![7; size]).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).unwrap();
    writing.join().unwrap();
    assert_eq!(echoed.len(), size);
}

/// Several pings at once, which differ in nothing but their ids.
fn ping_both(parallel: usize) {
    let pings: Vec<String> = (0..parallel)
        .map(|extra| {
            let count = extra + 1;
            format!("ping -q -c{count} -i0.01 {PEER4} & ping -6 -q -c{count} -i0.01 {PEER6} &")
        })
        .collect();
    sh(&format!("{} wait", pings.concat()));
}

#[track_caller]
fn assert_same(got: &Connections, expected: &Connections) {
    for (id, expected) in expected {
        assert_eq!(got.get(id), Some(expected), "connection {id}");
    }
    assert_eq!(got.len(), expected.len());
}

fn told(entry: &Entry) -> Told {
    let tuple = &entry.original;
    let icmp = tuple.as_icmp();
    Told {
        source: tuple.source(),
        destination: tuple.destination(),
        protocol: tuple.protocol(),
        first: icmp.map_or(tuple.source_port(), |icmp| u16::from(icmp.kind)),
        second: icmp.map_or(tuple.destination_port(), |icmp| u16::from(icmp.code)),
        icmp_id: icmp.map_or(0, |icmp| icmp.id),
        zone: entry.zone,
        counters: entry.counters.unwrap_or_default(),
    }
}

fn parse_all(text: &str) -> Connections {
    text.lines().map(parse_line).collect()
}

/// Reads a line such as `udp 17 29 src=… dst=… sport=… dport=… packets=1 bytes=51 [UNREPLIED]
/// src=… dst=… sport=… dport=… packets=0 bytes=0 mark=0 zone=65520 use=1 id=2927961395`.
fn parse_line(line: &str) -> (u32, Told) {
    let line = line.trim_start().trim_start_matches("[DESTROY]");
    let value = |key: &str, nth: usize| {
        let values = line.split_whitespace().filter_map(|word| word.split_once('='));
        values.filter(|&(name, _)| name == key).nth(nth).map(|(_, value)| value)
    };
    let number = |key, nth| value(key, nth).map_or(0, |value| value.parse::<u64>().unwrap());
    let address = |key| value(key, 0).unwrap().parse().unwrap();
    let short = |key| u16::try_from(number(key, 0)).unwrap();
    let is_icmp = value("type", 0).is_some();
    let told = Told {
        source: address("src"),
        destination: address("dst"),
        protocol: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        first: short(if is_icmp { "type" } else { "sport" }),
        second: short(if is_icmp { "code" } else { "dport" }),
        icmp_id: if is_icmp { u16::try_from(number("id", 0)).unwrap() } else { 0 },
        zone: short("zone"),
        counters: Counters {
            packets: number("packets", 0),
            octets: number("bytes", 0),
            reverse_packets: number("packets", 1),
            reverse_octets: number("bytes", 1),
        },
    };
    // ICMP lines have an `id` in each tuple before that of the connection.
    let id = u32::try_from(number("id", if is_icmp { 2 } else { 0 })).unwrap();
    (id, told)
}
