//! A Node in a network namespace, one of whose Pods has many real connections in Antrea's zone.

use std::{
    env,
    net::UdpSocket,
    process::{Command, exit},
    sync::Arc,
};

use k8s::Cluster;

const INSIDE: &str = "FYKE_BENCH_NODE";
/// A Pod of another Node, and a Service in front of it.
const PEERS: [&str; 2] = ["10.9.0.130", "10.96.0.1"];
/// Destination ports used per source port, of the peer and of the Service by turns.
const PER_SOCKET: u16 = 100;
const SOURCE_PORTS: u16 = 20_000;
const DESTINATION_PORTS: u16 = 7000;
/// As many as a Node may have, and as a large cluster has.
const PODS: u32 = 110;
const SERVICES: u32 = 1000;

/// Goes on inside a private node; the process outside only cleans up after the one inside.
pub(crate) fn enter() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    let name = format!("fyke-bench-{}", std::process::id());
    let (node, peer) = (format!("{name}-node"), format!("{name}-peer"));
    let up = shell(&format!(
        "set -e
         ip netns add {node}; ip netns add {peer}
         ip link add v0 netns {node} type veth peer name v0 netns {peer}
         for ns in {node} {peer}; do ip -n $ns link set lo up; ip -n $ns link set v0 up; done
         ip -n {node} addr add 10.9.0.2/24 dev v0; ip -n {peer} addr add {}/24 dev v0
         ip -n {node} route add 10.96.0.0/16 dev v0
         ip netns exec {peer} nft 'add table ip quiet; add chain ip quiet in {{ type filter hook input priority 0; meta l4proto udp drop; }}'
         ip netns exec {node} nft -f - <<'RULES'
         table ip antrea {{
             chain zoned {{ type filter hook output priority raw; udp dport 7000-7999 ct zone set 65520; }}
             chain marked {{ type filter hook output priority filter; udp dport 7000-7999 ct mark set 3; }}
             chain served {{ type nat hook output priority -100; ip daddr {} dnat to {}; }}
         }}
RULES
         ip netns exec {node} sysctl -qw net.netfilter.nf_conntrack_acct=1 \
             net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_udp_timeout=3600",
        PEERS[0], PEERS[1], PEERS[0],
    ));
    let code = if up {
        let inside = Command::new("ip")
            .args(["netns", "exec", &node])
            .args(env::current_exe().ok())
            .args(env::args_os().skip(1))
            .env(INSIDE, "1")
            .status();
        inside.ok().and_then(|status| status.code()).unwrap_or(1)
    } else {
        1
    };
    shell(&format!("ip netns del {node}; ip netns del {peer}"));
    exit(code)
}

/// Sends one datagram on each of `count` connections, the same ones every time.
pub(crate) fn send_on_each(count: u32) -> std::io::Result<()> {
    let sockets = u16::try_from(count.div_ceil(u32::from(PER_SOCKET))).unwrap_or(u16::MAX);
    let mut left = count;
    for port in (SOURCE_PORTS..).take(usize::from(sockets)) {
        let socket = UdpSocket::bind(("0.0.0.0", port))?;
        let destinations = (DESTINATION_PORTS..DESTINATION_PORTS + PER_SOCKET).take(left as usize);
        for (destination, peer) in destinations.zip(PEERS.iter().cycle()) {
            socket.send_to(b"x", (*peer, destination))?;
            left -= 1;
        }
    }
    Ok(())
}

/// Which of the connections has these ports.
pub(crate) fn number(source_port: u16, destination_port: u16) -> usize {
    usize::from(source_port - SOURCE_PORTS) * usize::from(PER_SOCKET)
        + usize::from(destination_port - DESTINATION_PORTS)
}

/// What the Node knows of its cluster.
pub(crate) fn cluster() -> Arc<Cluster> {
    let pods = (0..PODS).map(|number| {
        let address = 2 + number;
        format!(
            " - {{name: checkout-{number:x}6fbd9c7d-x2v7q, namespace: online-shop, \
             node: worker-a, addresses: [10.9.0.{address}]}}\n"
        )
    });
    let services = (0..SERVICES).map(|number| {
        let address = format!("10.96.{}.{}", number / 250, 1 + number % 250);
        let ports = (DESTINATION_PORTS..DESTINATION_PORTS + PER_SOCKET)
            .filter(|_| number == 0)
            .map(|port| format!("{{name: p{port}, protocol: UDP, port: {port}}}, "));
        let ports: String = ports.collect();
        format!(
            " - {{name: payments-{number}, namespace: online-shop, clusterIPs: [{address}], \
             ports: [{ports}{{name: http, protocol: TCP, port: 80}}]}}\n"
        )
    });
    let text = format!(
        "nodes:\n - {{name: worker-a, podCIDRs: [10.9.0.0/25]}}\n \
         - {{name: worker-b, podCIDRs: [10.9.0.128/25]}}\npods:\n{}services:\n{}",
        pods.collect::<String>(),
        services.collect::<String>(),
    );
    Arc::new(Cluster::from_yaml(&text).expect("a cluster"))
}

fn shell(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success())
}
