//! A way to a server over which not everything gets through.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of requests. A change ends all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// The next connection is cut after so many bytes of the client's; those behind it pass.
    Cut {
        after: u64,
    },
    /// Everything is read and nothing answered.
    Silent,
    /// Everything is answered with this: a status and a code of S3's.
    Answer {
        status: u16,
        code: &'static str,
    },
    /// Only what is signed for this region passes; all else is told where the bucket is.
    Region(&'static str),
}

/// A proxy on 127.0.0.1, for as long as this lives.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Leads to 127.0.0.1:`port`.
    pub async fn to(port: u16) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.expect("a port"), port)
    }

    fn listen(listener: TcpListener, port: u16) -> Self {
        let address = listener.local_addr().expect("an address");
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let task = tokio::spawn(serve(listener, port, Arc::clone(&mode)));
        Self { address, mode, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Nobody listens any more; returns what [`Self::again`] needs.
    pub async fn gone(self) -> SocketAddr {
        let address = self.address;
        self.set(Mode::Silent);
        self.task.abort();
        assert!((&mut { self }.task).await.is_err(), "it was aborted");
        address
    }

    /// Listens again where it did before.
    pub async fn again(at: SocketAddr, port: u16) -> Self {
        Self::listen(TcpListener::bind(at).await.expect("it was ours"), port)
    }
}

async fn serve(listener: TcpListener, port: u16, mode: Arc<watch::Sender<Mode>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let mode = Arc::clone(&mode);
        tokio::spawn(async move {
            let mut changed = mode.subscribe();
            changed.mark_unchanged();
            tokio::select! {
                _ended = connection(client, port, &mode) => {}
                _changed = changed.changed() => {}
            }
        });
    }
}

async fn connection(
    mut client: TcpStream,
    port: u16,
    mode: &watch::Sender<Mode>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let now = mode.borrow().clone();
    let text = String::from_utf8_lossy(&head).into_owned();
    match now {
        Mode::Silent => copy(&mut client, &mut tokio::io::sink()).await.map(drop),
        Mode::Answer { status, code } => answer(client, status, code, "").await,
        Mode::Region(region) if !text.contains(&format!("/{region}/s3/aws4_request")) => {
            let header = format!("x-amz-bucket-region: {region}\r\n");
            answer(client, 301, "PermanentRedirect", &header).await
        }
        Mode::Pass | Mode::Region(_) => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&head).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        Mode::Cut { after } => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&head).await?;
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let mut some = (&mut from_client).take(after);
            tokio::select! {
                copied = copy(&mut some, &mut to_server) => {
                    copied?;
                    // Those that follow get through; this one ends by it.
                    mode.send_replace(Mode::Pass);
                    Ok(())
                }
                copied = copy(&mut from_server, &mut to_client) => copied.map(drop),
            }
        }
    }
}

async fn answer(
    mut client: TcpStream,
    status: u16,
    code: &str,
    headers: &str,
) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} On Purpose\r\nContent-Type: application/xml\r\n{headers}\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // What is not read would reset the connection, and the answer with it.
    copy(&mut client, &mut tokio::io::sink()).await.map(drop)
}
