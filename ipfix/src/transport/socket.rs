//! Socket options that decide how soon a dead peer is noticed, and how much a busy one may send.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

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
    async fn a_udp_socket_gets_a_larger_buffer_than_the_default() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let plain = std::net::UdpSocket::bind(address).unwrap();
            let large = bind_udp(address.parse().unwrap(), RECEIVE_BUFFER).unwrap();
            assert!(receive_buffer(&large).unwrap() >= receive_buffer(&plain).unwrap());
        }
    }
}
