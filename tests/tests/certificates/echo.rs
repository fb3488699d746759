//! A server that says everything again, and clients of it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use k8s::certificates::{ClientSource, ServerSource};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cluster::SERVER;

pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(crate) async fn start(source: ServerSource) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&refused);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = TlsAcceptor::from(source.config());
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(stream) => {
                            let (mut from, mut to) = tokio::io::split(stream);
                            tokio::io::copy(&mut from, &mut to).await.ok();
                        }
                        Err(error) => told.lock().unwrap().push(error.to_string()),
                    }
                });
            }
        });
        Self { address, refused }
    }

    /// Why clients got no session.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    /// Shakes hands, and has something said again: only then has the server taken the client.
    pub(crate) async fn connect(&self, source: &ClientSource) -> io::Result<Session> {
        let stream = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(source.config());
        let stream = connector.connect(ServerName::try_from(SERVER).unwrap(), stream).await?;
        let mut session = Session(stream);
        session.exchange().await?;
        Ok(session)
    }
}

pub(crate) struct Session(TlsStream<TcpStream>);

impl Session {
    pub(crate) async fn exchange(&mut self) -> io::Result<()> {
        let said: [u8; 8] = rand::random();
        self.0.write_all(&said).await?;
        let mut again = [0; 8];
        self.0.read_exact(&mut again).await?;
        assert_eq!(again, said);
        Ok(())
    }
}
