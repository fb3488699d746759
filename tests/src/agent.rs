//! A stand-in for the Antrea Agent's own API: HTTPS on the loopback address, with a certificate
//! that it has made for itself and a token in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What it answers, by path and query. Everything else is 404.
type Answers = BTreeMap<String, (u16, String)>;

/// A running Agent; its API ends when this is dropped.
#[derive(Debug)]
pub struct StandInAgent {
    port: u16,
    folder: TempDir,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl StandInAgent {
    /// Starts on a free port, with nothing to tell.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (answers, asked) = <(Arc<Mutex<Answers>>, Arc<Mutex<Vec<String>>>)>::default();
        let serving = serve(listener, &folder, "first", &answers, &asked);
        let agent = Self { port, folder, answers, asked, serving };
        // It has been up for an hour.
        agent.up_since(SystemTime::now() - Duration::from_hours(1));
        agent
    }

    /// Starts again on the same port: with another certificate and another token.
    pub async fn restart(&mut self) {
        self.serving.abort();
        (&mut self.serving).await.ok();
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("its port");
        self.serving = serve(listener, &self.folder, "second", &self.answers, &self.asked);
    }

    /// Puts another certificate in the place of the Agent's, as somebody would who has taken its
    /// port.
    pub async fn take_its_port(&mut self) {
        let token = std::fs::read_to_string(self.token_file()).expect("a token");
        let written = std::fs::metadata(self.token_file()).and_then(|it| it.modified());
        self.restart().await;
        std::fs::write(self.token_file(), token).expect("a file");
        self.up_since(written.expect("a time"));
    }

    /// Has it written its token then, which it does when it starts.
    pub fn up_since(&self, at: SystemTime) {
        let file = std::fs::File::options().write(true).open(self.token_file()).expect("a file");
        file.set_modified(at).expect("times can be set");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("loopback-client-token")
    }

    /// From now on it answers `path` with `status` and `body`.
    pub fn answer(&self, path: &str, status: u16, body: impl Into<String>) {
        lock(&self.answers).insert(path.to_owned(), (status, body.into()));
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

impl Drop for StandInAgent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    listener: TcpListener,
    folder: &TempDir,
    token: &str,
    answers: &Arc<Mutex<Answers>>,
    asked: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    std::fs::write(folder.path().join("loopback-client-token"), token).expect("a file");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let made = made.expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let bearer = format!("Bearer {token}");
    let (answers, asked) = (Arc::clone(answers), Arc::clone(asked));
    tokio::spawn(async move {
        let mut sessions = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
            let bearer = bearer.clone();
            sessions.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let respond = |request: Request<Incoming>| {
                    let answer = respond(&request, &bearer, &answers, &asked);
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                };
                let http = hyper::server::conn::http1::Builder::new();
                http.serve_connection(TokioIo::new(stream), service_fn(respond)).await.ok();
            });
        }
    })
}

fn respond(
    request: &Request<Incoming>,
    bearer: &str,
    answers: &Mutex<Answers>,
    asked: &Mutex<Vec<String>>,
) -> Response<Full<Bytes>> {
    let path = request.uri().to_string();
    lock(asked).push(path.clone());
    let is_known = request.headers().get(header::AUTHORIZATION).is_some_and(|it| it == bearer);
    let (status, body) = match lock(answers).get(&path) {
        _ if !is_known => (401, String::new()),
        Some(answer) => answer.clone(),
        None => (404, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
