//! Socket options that decide how soon a dead peer is noticed, and how much a busy one may send.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    os::{fd::AsFd, unix::fs::MetadataExt},
    time::Duration,
};

use rustix::net::sockopt;
use tokio::net::UdpSocket;

use crate::encode::{max_message_over_ipv4, max_message_over_ipv6};

/// A connection without traffic is probed after this long.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// A probe without an answer is repeated after this long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After this many, the connection is broken.
const KEEPALIVE_PROBES: u32 = 3;

/// How much a UDP socket may hold for a reader that is busy.
///
/// Records of a thousand Nodes arrive in the same second, and the kernel's default of 208 KiB is
/// a few hundred datagrams, since it counts buffers rather than bytes.
pub const RECEIVE_BUFFER: usize = 16 << 20;

/// Makes the kernel ask a silent peer whether it is still there. A Node that lost its power
/// sends no FIN.
pub fn keep_alive(socket: &impl AsFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Binds a socket for datagrams, with room for `receive_buffer` bytes of them or as many as this
/// process may ask for.
///
/// The kernel limits what an ordinary process gets to `net.core.rmem_max`; one with
/// `CAP_NET_ADMIN` gets what it asks for. [`receive_buffer`] says what came of it.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn bind_udp(address: SocketAddr, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    if sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, receive_buffer)?;
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Returns how large the receive buffer of `socket` is. The kernel doubles what was asked for, to
/// have room for its own bookkeeping.
pub fn receive_buffer(socket: &impl AsFd) -> io::Result<usize> {
    Ok(sockopt::socket_recv_buffer_size(socket)?)
}

/// Returns the longest message that a datagram to whom `socket` is connected to carries in one
/// packet.
pub(super) fn longest_datagram(socket: &UdpSocket) -> io::Result<u16> {
    let narrow = |mtu: u32| u16::try_from(mtu).unwrap_or(u16::MAX);
    Ok(match socket.peer_addr()? {
        SocketAddr::V4(_) => max_message_over_ipv4(narrow(sockopt::ip_mtu(socket)?)),
        SocketAddr::V6(_) => max_message_over_ipv6(narrow(sockopt::ipv6_mtu(socket)?)),
    })
}

/// What the kernel drops because the receive buffer of a UDP socket is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelDrops {
    inode: String,
}

impl KernelDrops {
    /// Of `socket`, which may be moved and used as before.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let file = File::from(socket.as_fd().try_clone_to_owned()?);
        Ok(Self { inode: file.metadata()?.ino().to_string() })
    }

    /// Returns how many datagrams were dropped since the socket was bound; an error once it is
    /// closed.
    ///
    /// Looks through all UDP sockets of this network namespace (`proc_net_udp(5)`: the inode and
    /// the drops of each), so it is nothing to be asked for every datagram.
    pub fn count(&self) -> io::Result<u64> {
        for table in ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"] {
            // Without IPv6 there is no such table.
            let Ok(text) = fs::read_to_string(table) else { continue };
            let is_it = |line: &&str| line.split_ascii_whitespace().nth(9) == Some(&self.inode);
            if let Some(line) = text.lines().find(is_it) {
                let drops = line.split_ascii_whitespace().next_back();
                let number = drops.and_then(|drops| drops.parse().ok());
                return number.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interface says the same in a file.
    #[tokio::test]
    async fn the_longest_datagram_fits_the_interface() {
        let mtu = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        let mtu = mtu.trim().parse::<u32>().unwrap().min(u16::MAX.into());
        for (any, headers) in [("127.0.0.1:0", 28), ("[::1]:0", 48)] {
            let peer = UdpSocket::bind(any).await.unwrap();
            let socket = UdpSocket::bind(any).await.unwrap();
            socket.connect(peer.local_addr().unwrap()).await.unwrap();
            assert_eq!(u32::from(longest_datagram(&socket).unwrap()), mtu - headers);
        }
    }

    #[tokio::test]
    async fn what_the_kernel_drops_is_known() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = bind_udp(address.parse().unwrap(), 4096).unwrap();
            let drops = KernelDrops::of(&socket).unwrap();
            assert_eq!(drops.count().unwrap(), 0);
            let peer = std::net::UdpSocket::bind(address).unwrap();
            let to = socket.local_addr().unwrap();
            for _ in 0..100 {
                peer.send_to(&[0; 1000], to).unwrap();
            }
            // A socket is asked only after the runtime has heard of it.
            socket.readable().await.unwrap();
            let mut taken = 0;
            while socket.try_recv(&mut [0; 1000]).is_ok() {
                taken += 1;
            }
            assert_eq!(drops.count().unwrap(), 100 - taken);
            assert!(taken < 100, "{taken}");
            drop(socket);
            assert!(drops.count().is_err());
        }
    }

    #[tokio::test]
    async fn a_udp_socket_gets_a_larger_buffer_than_the_default() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let plain = std::net::UdpSocket::bind(address).unwrap();
            let large = bind_udp(address.parse().unwrap(), RECEIVE_BUFFER).unwrap();
            assert!(receive_buffer(&large).unwrap() >= receive_buffer(&plain).unwrap());
        }
    }
}
