//! A network namespace with many real connections.

use std::{
    env,
    net::UdpSocket,
    process::{Command, exit},
};

const INSIDE: &str = "FYKE_BENCH_NODE";
const PEER: &str = "10.9.0.2";
/// Destination ports used per source port.
const PER_SOCKET: u16 = 100;

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
         ip -n {node} addr add 10.9.0.1/24 dev v0; ip -n {peer} addr add {PEER}/24 dev v0
         ip netns exec {peer} nft 'add table ip quiet; add chain ip quiet in {{ type filter hook input priority 0; meta l4proto udp drop; }}'
         ip netns exec {node} nft 'add table ip track; add chain ip track out {{ type filter hook output priority 0; ct state new accept; }}'
         ip netns exec {node} sysctl -qw net.netfilter.nf_conntrack_acct=1 \
             net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_udp_timeout=3600"
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
    for port in (20_000..).take(usize::from(sockets)) {
        let socket = UdpSocket::bind(("0.0.0.0", port))?;
        for destination in (7000..7000 + PER_SOCKET).take(left as usize) {
            socket.send_to(b"x", (PEER, destination))?;
            left -= 1;
        }
    }
    Ok(())
}

fn shell(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success())
}
