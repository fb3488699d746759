//! Room for events in `conntrack -E`, and for what others receive.
//!
//! conntrack 1.4.7 has an option for the size of its socket buffer, and applies it to
//! another socket than the one it receives events on. That one keeps the system's
//! default of 208 KiB, which some 200 events fill; but the kernel destroys hundreds of
//! connections at once when somebody lists its table. So the buffer is enlarged here,
//! through a duplicate of the program's own socket (`pidfd_getfd(2)`).

use std::fs;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// `NETLINK_NETFILTER`, as `/proc/net/netlink` prints it.
const NETFILTER: &str = "12";

/// Finds the socket on which the process `pid` receives netfilter events; `None` as long
/// as it has not subscribed to any.
pub fn event_socket(pid: u32) -> Option<i32> {
    let table = fs::read_to_string(format!("/proc/{pid}/net/netlink")).ok()?;
    // The table lists every socket of the network namespace, not only this process's.
    let inodes: Vec<&str> = table.lines().filter_map(subscribed_inode).collect();
    descriptor(pid, &inodes)
}

/// Finds the socket on which the process `pid` receives datagrams to `port` over IPv4.
pub fn datagram_socket(pid: u32, port: u16) -> Option<i32> {
    let table = fs::read_to_string(format!("/proc/{pid}/net/udp")).ok()?;
    let inodes: Vec<&str> = table.lines().filter_map(|line| bound_inode(line, port)).collect();
    descriptor(pid, &inodes)
}

/// Finds a socket of the process `pid` by its inode, which is one of `inodes`.
fn descriptor(pid: u32, inodes: &[&str]) -> Option<i32> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors.flatten().find_map(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inodes.contains(&inode).then(|| descriptor.file_name().to_str()?.parse().ok())?
    })
}

/// Lets the kernel queue as many `bytes` for the socket `descriptor` of the process `pid`.
pub fn resize(pid: u32, descriptor: i32, bytes: usize) -> Result<()> {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
    let process = pidfd_open(process, PidfdFlags::empty())
        .with_context(|| format!("cannot open process {pid}"))?;
    let socket = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty())
        .with_context(|| format!("cannot reach the socket of process {pid}"))?;
    set_socket_recv_buffer_size_force(&socket, bytes)
        .with_context(|| format!("cannot enlarge the socket buffer of process {pid}"))
}

/// Reads a line of `/proc/net/netlink`:
/// address, protocol, port, groups, four numbers, drops, inode.
fn subscribed_inode(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, protocol, _, groups, .., inode] = *fields else { return None };
    let is_subscribed = u32::from_str_radix(groups, 16).ok()? != 0;
    (protocol == NETFILTER && is_subscribed).then_some(inode)
}

/// Reads a line of `/proc/net/udp`: number, local address and port, seven more, inode.
fn bound_inode(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_whitespace().skip(1);
    let is_bound = fields.next()?.ends_with(&format!(":{port:04X}"));
    fields.nth(7).filter(|_| is_bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_netfilter_socket_with_groups_receives_events() {
        let inode = |line: &str| subscribed_inode(line).map(str::to_owned);
        let header = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode";
        assert_eq!(inode(header), None);
        let events = "00000000e551cdc7 12  3896182801 00000004 0        0        0     2        0        526792  ";
        assert_eq!(inode(events).as_deref(), Some("526792"));
        assert_eq!(inode(&events.replace("00000004", "00000000")), None);
        assert_eq!(inode(&events.replace(" 12 ", " 0 ")), None);
    }

    #[test]
    fn a_datagram_socket_is_known_by_its_port() {
        let line = "  123: 324DA8C0:1285 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 48213 2 0000000000000000 0";
        assert_eq!(bound_inode(line, 4741), Some("48213"));
        assert_eq!(bound_inode(line, 4742), None);
    }

    #[test]
    fn a_process_without_events_has_no_such_socket() {
        assert_eq!(event_socket(std::process::id()), None);
    }
}
