//! A way to a server over which not everything gets through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of requests. A change ends all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// What is sent passes up to so many bytes, then the connection is cut; all that follow pass.
    Cut {
        after: u64,
    },
    /// Everything is read and nothing answered.
    Silent,
    /// Everything passes, but only after this time.
    Late(Duration),
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
        Mode::Pass | Mode::Late(_) | Mode::Region(_) => {
            if let Mode::Late(late) = now {
                tokio::time::sleep(late).await;
            }
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&head).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        Mode::Cut { .. } => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&head).await?;
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            tokio::select! {
                cut = pass_some(&mut from_client, &mut to_server, mode) => cut,
                copied = copy(&mut from_server, &mut to_client) => copied.map(drop),
            }
        }
    }
}

/// Passes on what clients say until all of them together have said as much as they may.
async fn pass_some(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mode: &watch::Sender<Mode>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        to.write_all(&bytes[..count]).await?;
        let mut is_cut = count == 0;
        mode.send_if_modified(|mode| {
            let Mode::Cut { after } = mode else { return false };
            *after = after.saturating_sub(count as u64);
            is_cut |= *after == 0;
            if *after == 0 {
                // Those that follow get through; this one ends by it.
                *mode = Mode::Pass;
            }
            *mode == Mode::Pass
        });
        if is_cut {
            return Ok(());
        }
    }
}

async fn answer(
    mut client: TcpStream,
    status: u16,
    code: &str,
    headers: &str,
) -> std::io::Result<()> {
    let error = format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    let body = if status == 200 { code.to_owned() } else { error };
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
