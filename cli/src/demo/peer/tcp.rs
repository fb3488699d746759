//! TCP: requests that name their own size and the size of the answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{PATIENCE, say_ready};

/// A request starts with the length of its payload and that of the answer, both big endian.
const HEADER_LENGTH: usize = 8;

/// A server waits for the next request longer than bytes take: clients pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, clap::Args)]
pub struct Client {
    /// Where to connect to.
    to: SocketAddr,
    /// Connections to make.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Connections open at the same time.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Bytes to send with each request.
    #[arg(long, default_value_t = 0)]
    up: u32,
    /// Bytes to receive for each request.
    #[arg(long, default_value_t = 0)]
    down: u32,
    /// Requests on each connection.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Milliseconds between two requests of a connection.
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

impl Client {
    /// Makes all connections, and returns the first error of any of them.
    pub fn run(&self) -> Result<()> {
        let threads = self.threads.max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|worker| scope.spawn(move || self.connect_all(self.share(worker, threads))))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(anyhow!("a client thread panicked")))
            })
        })
    }

    /// How many of the connections are `worker`'s.
    fn share(&self, worker: u32, threads: u32) -> u32 {
        self.connections / threads + u32::from(worker < self.connections % threads)
    }

    fn connect_all(&self, connections: u32) -> Result<()> {
        (0..connections).try_for_each(|_| {
            self.connect().with_context(|| format!("connection to {} is broken", self.to))
        })
    }

    fn connect(&self) -> Result<()> {
        let mut stream = open(self.to)?;
        let mut request = self.up.to_be_bytes().to_vec();
        request.extend(self.down.to_be_bytes());
        request.resize(HEADER_LENGTH + self.up as usize, b'u');
        for round in 1..=self.rounds {
            stream.write_all(&request)?;
            if round == self.rounds {
                stream.shutdown(Shutdown::Write)?;
            }
            discard(&mut stream, self.down)?;
            if round < self.rounds {
                thread::sleep(Duration::from_millis(self.pause));
            }
        }
        ensure!(stream.read(&mut [0])? == 0, "more bytes came back than were asked for");
        Ok(())
    }
}

/// Answers connections for ever, each on a thread of its own.
pub(super) fn serve(listen: SocketAddr) -> Result<()> {
    let listener =
        TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    say_ready()?;
    for stream in listener.incoming() {
        let stream = stream.context("cannot accept a connection")?;
        thread::spawn(move || {
            if let Err(error) = answer(stream) {
                eprintln!("connection is broken: {error}");
            }
        });
    }
    Ok(())
}

/// Answers the requests of one connection until the client has no more of them.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    prepare(&stream)?;
    stream.set_read_timeout(Some(LONGEST_PAUSE))?;
    while let Some((up, down)) = next_request(&mut stream)? {
        discard(&mut stream, up)?;
        stream.write_all(&vec![b'd'; down as usize])?;
    }
    Ok(())
}

fn next_request(stream: &mut TcpStream) -> io::Result<Option<(u32, u32)>> {
    let mut header = Vec::with_capacity(HEADER_LENGTH);
    stream.take(HEADER_LENGTH as u64).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    match header.split_first_chunk() {
        Some((&up, down)) if let Ok(down) = down.try_into() => {
            Ok(Some((u32::from_be_bytes(up), u32::from_be_bytes(down))))
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn open(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

fn discard(stream: &mut TcpStream, length: u32) -> io::Result<()> {
    let length = u64::from(length);
    if io::copy(&mut stream.take(length), &mut io::sink())? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
