//! UDP: every datagram comes back as it was sent.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{PATIENCE, say_ready};

/// The longest datagram that crosses the lab's links in one piece.
const LONGEST: usize = 1452;

#[derive(Debug, Clone, clap::Args)]
pub struct Client {
    /// Where to send datagrams to.
    to: SocketAddr,
    /// Datagrams to send, each after the previous one came back.
    #[arg(long, default_value_t = 1)]
    datagrams: u32,
    /// Bytes in each.
    #[arg(long, default_value_t = 100)]
    size: u16,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

impl Client {
    pub fn run(&self) -> Result<()> {
        let any: SocketAddr = match self.to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).context("cannot open a UDP socket")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(self.to).with_context(|| format!("cannot reach {}", self.to))?;
        (0..self.datagrams).try_for_each(|_| {
            self.exchange(&socket).with_context(|| format!("no echo from {}", self.to))?;
            thread::sleep(Duration::from_millis(self.pause));
            Ok(())
        })
    }

    fn exchange(&self, socket: &UdpSocket) -> Result<()> {
        let sent = vec![b'u'; usize::from(self.size)];
        socket.send(&sent)?;
        let mut buffer = [0; LONGEST];
        let length = socket.recv(&mut buffer)?;
        ensure!(buffer[..length] == sent, "{length} bytes came back for {}", sent.len());
        Ok(())
    }
}

/// Sends datagrams back for ever.
pub(super) fn echo(listen: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    say_ready()?;
    let mut buffer = [0; LONGEST];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).context("cannot receive")?;
        socket.send_to(&buffer[..length], from).context("cannot send")?;
    }
}
