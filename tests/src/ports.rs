//! Ports for servers that have to be told theirs.

use std::net::{TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the kernel gives to outgoing connections, which could take a port between the
/// moment when it is found free and the moment when its server binds it.
const FIRST: u32 = 20_000;
const LAST: u32 = 32_000;

/// A port that nobody has on 127.0.0.1, neither over TCP nor over UDP; another one each time.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = LAST - FIRST;
    // Tests that run at the same time in other processes begin elsewhere.
    let begin = process::id().wrapping_mul(97);
    for _ in 0..count {
        let offset = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(FIRST + offset).expect("it is below 32,000");
        let at = ("127.0.0.1", port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
