//! A way to an HTTP server on which writes can be held up, so that they arrive late or together.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Returns where to connect instead of `server`. While `held`, no PUT and no POST goes on; none is
/// lost, even if its sender is not there any more.
pub async fn hold_writes(server: SocketAddr, held: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            // A server that is down is for the client to notice.
            let Ok(far) = TcpStream::connect(server).await else { continue };
            let ((near_from, near_to), (far_from, far_to)) = (near.into_split(), far.into_split());
            tokio::spawn(pump(near_from, far_to, held.clone()));
            tokio::spawn(pump(far_from, near_to, held.clone()));
        }
    });
    address
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 4096];
    while let Ok(length) = from.read(&mut bytes).await {
        let read = &bytes[..length];
        if read.starts_with(b"PUT ") || read.starts_with(b"POST ") {
            // Whoever holds them is gone: they go on.
            held.wait_for(|held| !held).await.ok();
        }
        if read.is_empty() || to.write_all(read).await.is_err() {
            return;
        }
    }
}
