//! Packets that the real kernel denies.
//!
//! What is expected comes from `tcpdump` and from the counters of nft and iptables.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use exporter::conntrack::Tuple;
use exporter::deny::audit::AuditLog;
use exporter::deny::nflog::Nflog;
use exporter::deny::nfqueue::{Fate, Nfqueue, Overruns, Treatment};
use exporter::deny::prefix::{PrefixRule, Prefixes};
use exporter::deny::{Counts, Denials, Loss, Reporter, Rules, Source, Table, channel};
use exporter::meter::{Limits, Meter, Timeouts};
use exporter::verdict::{Direction, RuleId, Verdict};

use crate::lab::{self, PEER4, PEER6, Running, sh, until};
use crate::{now, send_udp};

/// Two groups, since a group has one listener.
const LOG_RULES: &str = r#"
table inet deny {
    counter n_udp { }
    counter n_tcp { }
    counter n_icmp { }
    chain out { type filter hook output priority 10;
        udp dport 6000-6099 counter name n_udp log prefix "np-drop" group 7 log group 8 drop
        tcp dport 6000-6099 counter name n_tcp log prefix "shop/web/r 1:egress:drop" group 7 log group 8 drop
        icmp type echo-request counter name n_icmp log group 7 log group 8 drop
        icmpv6 type echo-request counter name n_icmp log group 7 log group 8 drop }
}"#;

/// Packets and octets.
type Counted = (u64, u64);
/// By source, destination and protocol, with ports; ICMP without anything more.
type Flows = BTreeMap<(String, String, u8), Counted>;

/// What the observer does with denied packets.
struct Node {
    denials: Denials,
    table: Table,
    meter: Meter,
    counts: Arc<Counts>,
    flows: Flows,
    verdicts: Vec<Verdict>,
}

impl Node {
    fn new() -> (Reporter, Self) {
        let counts = Arc::new(Counts::default());
        let (reporter, denials) = channel(10_000, Arc::clone(&counts));
        let short = Duration::from_millis(100);
        let node = Self {
            denials,
            table: Table::new(Table::LIMIT, short, Arc::clone(&counts)),
            meter: Meter::new(Timeouts::new(short, short), Limits { connections: 100_000 }),
            counts,
            flows: Flows::new(),
            verdicts: Vec::new(),
        };
        (reporter, node)
    }

    fn take(&mut self) {
        let Self { denials, table, meter, flows, verdicts, .. } = self;
        while let Some(denied) = denials.take() {
            let now = now();
            table.take(&denied, now, &mut |entry| meter.observe(entry, now));
        }
        meter.flush(usize::MAX, |due| {
            let sum = flows.entry(flow(due.original)).or_default();
            sum.0 += due.deltas.packets;
            sum.1 += due.deltas.octets;
            verdicts.push(due.denied.unwrap());
        });
    }

    fn sum(&self, protocol: u8) -> Counted {
        let of = self.flows.iter().filter(|((.., it), _)| *it == protocol);
        of.fold((0, 0), |sum, (_, it)| (sum.0 + it.0, sum.1 + it.1))
    }
}

fn flow(tuple: &Tuple) -> (String, String, u8) {
    let end = |address: IpAddr, port: u16| match port {
        0 => address.to_string(),
        port => format!("{address}.{port}"),
    };
    let source = end(tuple.source(), tuple.source_port());
    (source, end(tuple.destination(), tuple.destination_port()), tuple.protocol())
}

#[test]
fn what_netfilter_logs_is_what_tcpdump_sees() {
    lab::run("denied::what_netfilter_logs_is_what_tcpdump_sees", || {
        sh(&format!("nft -f - <<'RULES'\n{LOG_RULES}\nRULES"));
        let capture = std::env::temp_dir().join(format!("fyke-nflog-{}", std::process::id()));
        let tcpdump = dump_group(8, &capture);
        let (reporter, mut node) = Node::new();
        let prefixes = Prefixes::new(vec![PrefixRule::read("np-drop=drop,ingress,-").unwrap()]);
        let reporter = reporter.of(Source::Nflog);
        let mut nflog = Nflog::open(&[7], prefixes, reporter, now()).unwrap();
        make_denied_traffic();
        let count = |name| counter(&format!("nft list counter inet deny n_{name}"));
        let expected = ["udp", "tcp", "icmp"].map(count);
        let total: u64 = expected.iter().map(|it| it.0).sum();
        until("every packet has come", || {
            nflog.poll(now()).unwrap();
            node.counts.packets(Source::Nflog) == total
        });
        node.take();
        sh(&format!("sleep 0.5; kill -INT {}", tcpdump.0.id()));
        drop(tcpdump);
        let seen = sh(&format!("tcpdump -nn -v -r {} 2>/dev/null", capture.display()));
        std::fs::remove_file(&capture).unwrap();
        let icmp = [node.sum(1), node.sum(58)];
        let icmp = (icmp[0].0 + icmp[1].0, icmp[0].1 + icmp[1].1);
        assert_eq!([node.sum(17), node.sum(6), icmp], expected);
        assert_eq!(node.flows, flows_of(&seen));
        assert!(node.flows.len() > 80 && total > 150, "{total} packets");
        assert_eq!(node.counts.losses(Source::Nflog, Loss::Malformed), 0);
        check_verdicts(&node);
    });
}

fn check_verdicts(node: &Node) {
    let name = |rules: &Rules, id| match id {
        RuleId::Named(number) => rules.get(number).map(|rule| rule.rule.to_string()),
        _ => None,
    };
    let told = |wanted: fn(&Verdict) -> bool| node.verdicts.iter().filter(|it| wanted(it)).count();
    assert_eq!(
        told(|it| it.rule == RuleId::Isolation && it.direction == Some(Direction::Ingress)),
        80
    );
    let named: Vec<_> =
        node.verdicts.iter().filter_map(|it| name(node.table.rules(), it.rule)).collect();
    assert_eq!(named, ["r 1"; 4]);
}

#[test]
fn what_the_kernel_had_no_room_for_is_counted() {
    lab::run("denied::what_the_kernel_had_no_room_for_is_counted", || {
        sh(&format!("nft -f - <<'RULES'\n{LOG_RULES}\nRULES"));
        let (reporter, node) = Node::new();
        let reporter = reporter.of(Source::Nflog);
        let mut nflog = Nflog::open(&[7], Prefixes::default(), reporter, now()).unwrap();
        (0..60_000).for_each(|_| send_from(PEER4, 6000));
        let (sent, _) = counter("nft list counter inet deny n_udp");
        nflog.poll(now()).unwrap();
        // The last tells how many are missing before it.
        send_from(PEER4, 6000);
        let known = || {
            node.counts.packets(Source::Nflog) + node.counts.losses(Source::Nflog, Loss::Overrun)
        };
        until("the last packet has come", || {
            nflog.poll(now()).unwrap();
            known() == sent + 1
        });
        assert!(node.counts.losses(Source::Nflog, Loss::Overrun) > 0, "60,000 fit into 4 MiB");
    });
}

#[test]
fn a_queue_has_its_packets_dropped_or_accepted() {
    lab::run("denied::a_queue_has_its_packets_dropped_or_accepted", || {
        sh("for ipt in iptables ip6tables; do
                for protocol in udp tcp; do
                    $ipt -A OUTPUT -p $protocol --dport 6000:6099 -j NFQUEUE --queue-num 9
                    $ipt -A OUTPUT -p $protocol --dport 6100:6199 -j NFQUEUE --queue-num 10
                done
            done
            nft 'add table inet gone; add counter inet gone dropped; add counter inet gone accepted;
                 add chain inet gone out { type filter hook postrouting priority 0; };
                 add rule inet gone out udp dport 6000-6099 counter name dropped;
                 add rule inet gone out udp dport 6100-6199 counter name accepted'");
        let (reporter, mut node) = Node::new();
        let reporter = reporter.of(Source::Nfqueue);
        for (queue, fate) in [(9, Fate::Drop), (10, Fate::Accept)] {
            let treatment = Treatment { fate, fail_open: false };
            let mut served = Nfqueue::open(queue, treatment, reporter.clone()).unwrap();
            thread::spawn(move || served.run(now).unwrap());
        }
        for port in (6000..6040).chain(6100..6110) {
            send_udp(PEER4, port, 3);
            send_udp(PEER6, port, 5);
        }
        connect(6000);
        // Packets and bytes come first in each row.
        let rows = "for ipt in iptables ip6tables; do $ipt -nvxL OUTPUT; done | grep NFQUEUE";
        let expected = || {
            let mut sums = [(0, 0); 2];
            for row in sh(rows).lines() {
                let words: Vec<_> = row.split_whitespace().collect();
                let sum = &mut sums[usize::from(row.contains("tcp dpts"))];
                sum.0 += words[0].parse::<u64>().unwrap();
                sum.1 += words[1].parse::<u64>().unwrap();
            }
            sums
        };
        until("every packet has come", || {
            node.take();
            [node.sum(17), node.sum(6)] == expected()
        });
        assert_eq!(node.sum(17).0, 100);
        assert!(node.sum(6).0 >= 2, "no SYN was queued");
        assert_eq!(counter("nft list counter inet gone dropped").0, 0);
        assert_eq!(counter("nft list counter inet gone accepted").0, 20);
        assert_eq!(Overruns::default().look(&[9, 10]).unwrap(), 0);
    });
}

/// The Agent's log, rotated while it is written.
#[test]
fn every_line_of_a_rotated_log_is_counted() {
    const WRITER: &str = r"
import os, sys, time
directory, lines = sys.argv[1], int(sys.argv[2])
path = directory + '/np.log'
log, size = open(path, 'w'), 0
print('ready', flush=True)
sys.stdin.readline()
for n in range(lines):
    now = time.time()
    stamp = time.strftime('%Y/%m/%d %H:%M:%S', time.localtime(now)) + '.%06d' % (now % 1 * 1e6)
    line = (f'{stamp} AntreaPolicyIngressRule AntreaNetworkPolicy:shop/web deny all  of it Ingress Drop 44900 '
            f'shop/web-0 10.10.1.{n % 200} {1000 + n % 400} 10.10.0.5 80 TCP 60 <nil>')
    if n % 3 == 0: line += ' [%d packets in 1.0008s]' % (n % 5 + 1)
    if n % 7 == 0: line = line.replace(' Drop ', ' Allow ')
    log.write(line + '\n'); log.flush(); size += len(line) + 1
    if size > 200000:
        log.close()
        os.rename(path, directory + '/np-2026-11-21T15-00-%09d.log' % n)
        log, size = open(path, 'w'), 0
";
    const LINES: u64 = 50_000;
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Command::new("python3")
        .args(["-c", WRITER, directory.path().to_str().unwrap(), &LINES.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let path = directory.path().join("np.log");
    until("there is a log", || path.exists());
    let (reporter, mut node) = Node::new();
    let zone = jiff::tz::TimeZone::system();
    let mut log = AuditLog::new(path, zone, reporter.of(Source::AuditLog));
    assert!(log.poll(now()).unwrap());
    writer.stdin.take().unwrap().write_all(b"\n").unwrap();
    let reading = thread::spawn(move || {
        // One look after the end finds the rest.
        while writer.try_wait().unwrap().is_none() {
            log.poll(now()).unwrap();
        }
        log.poll(now()).unwrap();
    });
    while !reading.is_finished() {
        node.take();
    }
    reading.join().unwrap();
    node.take();
    let written = (0..LINES).filter(|n| n % 7 != 0);
    let expected: u64 = written.map(|n| if n % 3 == 0 { n % 5 + 1 } else { 1 }).sum();
    assert_eq!(node.counts.packets(Source::AuditLog), expected);
    assert_eq!(node.sum(6), (expected, 60 * expected));
    for loss in Loss::ALL {
        assert_eq!(node.counts.losses(Source::AuditLog, loss), 0, "{loss:?}");
    }
}

fn make_denied_traffic() {
    for port in 6000..6040 {
        for _ in 0..=port % 3 {
            // The kernel tells the sender of its own packets that they are lost.
            for peer in [PEER4, PEER6] {
                send_from(peer, port);
            }
        }
    }
    connect(6000);
    connect(6001);
    sh(&format!("ping -q -c3 -i0.01 -W1 {PEER4}; ping -6 -q -c4 -i0.01 -W1 {PEER6}; true"));
}

/// From a port that is always the same, so that some packets share a flow.
fn send_from(peer: &str, port: u16) {
    let any = if peer == PEER4 { "0.0.0.0" } else { "::" };
    let socket = std::net::UdpSocket::bind((any, port)).unwrap();
    socket.send_to(&vec![7; port.into()][..usize::from(port % 100)], (peer, port)).ok();
}

fn connect(port: u16) {
    for peer in [PEER4, PEER6] {
        let address = (peer.parse::<IpAddr>().unwrap(), port).into();
        TcpStream::connect_timeout(&address, Duration::from_millis(1200)).unwrap_err();
    }
}

/// Reads `packets N bytes M`.
fn counter(command: &str) -> Counted {
    let text = sh(command);
    let words: Vec<_> = text.split_whitespace().collect();
    let after = |word| {
        let at = words.iter().position(|it| *it == word).unwrap();
        words[at + 1].parse().unwrap()
    };
    (after("packets"), after("bytes"))
}

fn dump_group(group: u16, path: &std::path::Path) -> Running {
    let log = path.with_extension("log");
    let child = Command::new("tcpdump")
        .args(["-nn", "-U", "-i", &format!("nflog:{group}"), "-w"])
        .arg(path)
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let running = Running(child);
    until("tcpdump listens", || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("listening on")
    });
    std::fs::remove_file(log).unwrap();
    running
}

/// Reads `IP (..., proto UDP (17), length 31)`, on the next line `A.p > B.q: ...`, and
/// `IP6 (... next-header UDP (17) payload length: 11) A.p > B.q: ...`.
fn flows_of(text: &str) -> Flows {
    let mut flows = Flows::new();
    let joined = text.replace("\n    ", " ");
    for line in joined.lines().filter(|line| line.contains("IP")) {
        let between = |from: &str, to: &str| {
            let rest = line.split_once(from)?.1;
            Some(rest.split_once(to)?.0)
        };
        let ipv6 = between("payload length: ", ")").map(|it| it.parse::<u64>().unwrap() + 40);
        let octets = ipv6.or_else(|| between(", length ", ")")?.parse().ok()).unwrap();
        let protocol = ["UDP (17)", "TCP (6)", "ICMP (1)", "ICMPv6 (58)"]
            .iter()
            .find(|name| line.contains(*name))
            .and_then(|name| name.split_once('(')?.1.trim_end_matches(')').parse().ok())
            .unwrap();
        let ends = line.split_once(" > ").unwrap();
        let source = ends.0.rsplit(' ').next().unwrap();
        let destination = ends.1.split_once(": ").unwrap().0;
        let key = (source.to_owned(), destination.to_owned(), protocol);
        let sum = flows.entry(key).or_default();
        sum.0 += 1;
        sum.1 += octets;
    }
    flows
}
