//! A server of old: with TLS, users, and a process that is killed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sinks::click_house::Options;
use store::clickhouse::{Reason, Trust};
use tests::clickhouse::{OldServer, antrea_table};

use crate::delivery::{Delivery, SUMS, options, records, sums};

/// Passes on what goes to a port, until there were `limit` bytes; then nothing comes or goes.
pub(crate) struct Gate {
    port: u16,
    passed: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
}

impl Gate {
    fn new(to: u16) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0), to)
    }

    pub(crate) fn at(from: (Ipv4Addr, u16), to: u16) -> Self {
        let listener = TcpListener::bind(from).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let gate = Self { port, passed: Arc::default(), limit: Arc::new(u64::MAX.into()) };
        let (passed, limit) = (Arc::clone(&gate.passed), Arc::clone(&gate.limit));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let back = (server.try_clone().expect("it"), client.try_clone().expect("it"));
                let (passed, limit) = (Arc::clone(&passed), Arc::clone(&limit));
                std::thread::spawn(move || pass(client, server, &passed, &limit));
                std::thread::spawn(move || pass(back.0, back.1, &0.into(), &u64::MAX.into()));
            }
        });
        gate
    }

    /// Nothing passes after so many bytes more.
    fn close_after(&self, bytes: u64) {
        self.limit.store(self.passed.load(Ordering::SeqCst) + bytes, Ordering::SeqCst);
    }

    async fn is_closed(&self) {
        while self.passed.load(Ordering::SeqCst) < self.limit.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) {
        self.limit.store(u64::MAX, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passed: &AtomicU64, limit: &AtomicU64) {
    let mut buffer = [0; 4096];
    while let Ok(read) = from.read(&mut buffer) {
        let room = limit.load(Ordering::SeqCst).saturating_sub(passed.load(Ordering::SeqCst));
        let length = read.min(usize::try_from(room).unwrap_or(usize::MAX));
        let sent = buffer.get(..length).map(|bytes| to.write_all(bytes));
        passed.fetch_add(read as u64, Ordering::SeqCst);
        if read == 0 || !matches!(sent, Some(Ok(()))) {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_of_an_insert_has_every_row_once() {
    let mut server = OldServer::start();
    // It knows no tokens.
    let table = antrea_table("flows");
    server.ask(table.split(" SETTINGS").next().expect("a statement"));
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(server.https_port());
    let options = Options {
        trust: Trust::Authorities(server.authority()),
        ..options(&format!("https://localhost:{}", gate.port), folder.path())
    };
    let mut delivery = Delivery::start(folder.path(), options).await;
    delivery.give(&records(0..5000));
    delivery.delivers(5000).await;
    assert_eq!(delivery.failures(Reason::Setting), 1, "it knows no tokens");
    for end in [25_000, 45_000] {
        // A block of them takes hundreds of kilobytes, also compressed.
        gate.close_after(50_000);
        delivery.give(&records(end - 20_000..end));
        gate.is_closed().await;
        let before = delivery.failures(Reason::Unreachable);
        server.kill();
        delivery.fails(Reason::Unreachable, before).await;
        gate.open();
        server.start_again();
        delivery.delivers(end).await;
        assert_eq!(server.ask(SUMS), sums(0..end));
    }
    delivery.end().await;
}
