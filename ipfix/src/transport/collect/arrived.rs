//! Datagrams, as many at a time as have arrived.
//!
//! To enter the kernel costs a third of what a datagram costs there, so it is entered for many.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd as _,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use tokio::{io::Interest, net::UdpSocket};

/// The longest datagram.
const LONGEST: usize = u16::MAX as usize;
/// From one datagram to the next. Not a multiple of a page, since all would then compete for the
/// same few lines of the processor's cache.
const STRIDE: usize = LONGEST + 1 + 5 * 64;
/// Datagrams received at once, at most. What all of these have in common, such as the time, is done
/// once.
const MOST: usize = 64;

/// What the last system call has brought.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Of which only those pages are there that a datagram has ever touched.
    buffer: Box<[u8]>,
    datagrams: Vec<(usize, SocketAddr)>,
    /// How many there is room for next time: twice as many as came.
    room: usize,
}

impl Arrived {
    pub(super) fn new() -> Self {
        let buffer = vec![0; MOST * STRIDE].into_boxed_slice();
        Self { buffer, datagrams: Vec::with_capacity(MOST), room: 1 }
    }

    /// Receives what has arrived, in the place of what came before. Returns whether there may be
    /// more.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.datagrams.clear();
        socket.try_io(Interest::READABLE, || self.fill(socket))?;
        let may_be_more = self.datagrams.len() == self.room;
        self.room = (2 * self.datagrams.len()).clamp(1, MOST);
        Ok(may_be_more)
    }

    fn fill(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let places = self.buffer.chunks_mut(STRIDE).take(self.room);
        let mut places: Vec<_> = places.map(|place| [IoSliceMut::new(place)]).collect();
        // Not kept: it must not go from one thread to another, as a task may.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(places.len(), None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, &mut places, flags, None)?;
        let known = received.map(|it| it.address.and_then(address).map(|peer| (it.bytes, peer)));
        self.datagrams.extend(known.flatten());
        Ok(())
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let places = self.buffer.chunks(STRIDE).zip(&self.datagrams);
        places.map(|(place, &(length, peer))| (place.get(..length).unwrap_or_default(), peer))
    }
}

/// Always there: a socket of either family hears of its own.
fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|it| SocketAddr::V4(SocketAddrV4::from(*it)));
    v4.or_else(|| storage.as_sockaddr_in6().map(|it| SocketAddr::V6(SocketAddrV6::from(*it))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that comes, in the order of what each datagram begins with.
    async fn read(
        arrived: &mut Arrived,
        socket: &UdpSocket,
        count: usize,
    ) -> Vec<(Vec<u8>, SocketAddr)> {
        let mut read = Vec::new();
        while read.len() < count {
            socket.readable().await.unwrap();
            match arrived.receive(socket) {
                Ok(_) => read.extend(arrived.datagrams().map(|(it, peer)| (it.to_vec(), peer))),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        read
    }

    #[tokio::test]
    async fn datagrams_come_whole_and_in_order_from_whom_they_are() {
        for localhost in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(localhost).await.unwrap();
            let to = socket.local_addr().unwrap();
            let peers = [(); 2].map(|()| std::net::UdpSocket::bind(localhost).unwrap());
            let longest = if to.is_ipv4() { 65_507 } else { 65_487 };
            // One that is empty is no end.
            let sent: Vec<_> = (0..150_u8)
                .map(|number| vec![number; [0, 1, 1_400, longest][usize::from(number % 4)]])
                .collect();
            let mut arrived = Arrived::new();
            // As many as surely fit the socket's buffer.
            for some in sent.chunks(3) {
                for (datagram, peer) in some.iter().zip(peers.iter().cycle()) {
                    peer.send_to(datagram, to).unwrap();
                }
                let read = read(&mut arrived, &socket, some.len()).await;
                for ((read, from), (datagram, peer)) in
                    read.iter().zip(some.iter().zip(peers.iter().cycle()))
                {
                    assert!(read == datagram);
                    assert_eq!(*from, peer.local_addr().unwrap());
                }
            }
        }
    }

    #[tokio::test]
    async fn many_that_wait_come_with_few_calls() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..100_u8 {
            peer.send_to(&[number], socket.local_addr().unwrap()).unwrap();
        }
        let mut arrived = Arrived::new();
        socket.readable().await.unwrap();
        let (mut read, mut calls) = (Vec::new(), 0);
        let mut more = true;
        while more {
            more = arrived.receive(&socket).unwrap();
            read.extend(arrived.datagrams().map(|(it, _)| it[0]));
            calls += 1;
        }
        assert_eq!(read, (0..100).collect::<Vec<_>>());
        assert!(calls < 10, "{calls}: 1, 2, 4 and so on");
    }
}
