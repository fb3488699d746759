//! Connections: accepted, served, reset, and all let go of when the server goes down.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::service::answer;

/// Told to whatever can make a connection end in a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reset(Arc<Notify>);

impl Reset {
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }
}

/// A server that is up.
#[derive(Debug)]
pub(crate) struct Listening {
    down: oneshot::Sender<()>,
    gone: std::sync::mpsc::Receiver<()>,
}

impl Listening {
    /// Listens, so that connections succeed from here on.
    pub(crate) fn start(
        runtime: &tokio::runtime::Handle,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        shared: Arc<Shared>,
    ) -> io::Result<(Self, SocketAddr)> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (down, asked) = oneshot::channel();
        let (tell, gone) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(socket).expect("the socket is fresh");
            let mut connections = JoinSet::new();
            tokio::select! {
                () = accept(listener, tls, shared, &mut connections) => {}
                _ = asked => {}
            }
            // Every socket is closed before anybody is told that the server is down.
            connections.shutdown().await;
            drop(tell);
        });
        Ok((Self { down, gone }, address))
    }

    /// Closes the listener and every connection, and waits until they are.
    pub(crate) fn stop(self) {
        drop(self.down);
        self.gone.recv().expect_err("nothing is ever sent");
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    connections: &mut JoinSet<()>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        shared.counters.send_modify(|counters| counters.connections += 1);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            // A client may go away at any time.
            drop(serve(stream, tls, shared).await);
        });
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = stream.as_fd().try_clone_to_owned()?;
    let reset = Reset::default();
    let served = async {
        match tls {
            Some(tls) => {
                let stream = tls.accept(stream).await?;
                speak(TokioIo::new(stream), &reset, shared).await
            }
            None => speak(TokioIo::new(stream), &reset, shared).await,
        }
    };
    tokio::select! {
        served = served => return served,
        () = reset.0.notified() => {}
    }
    // What is left of the connection closes when this function returns.
    reset_on_close(socket)
}

async fn speak<S>(stream: TokioIo<S>, reset: &Reset, shared: Arc<Shared>) -> io::Result<()>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), reset.clone()));
    let connection = http1::Builder::new().serve_connection(stream, service);
    connection.await.map_err(io::Error::other)
}

/// With no time to linger, closing a socket resets its connection.
fn reset_on_close(socket: OwnedFd) -> io::Result<()> {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?;
    Ok(())
}
