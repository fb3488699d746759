//! Questions to the Antrea Agent of this Node, by its local API.
//!
//! It answers on the loopback address only, and so is asked nowhere else. Its certificate is one
//! that it made for itself when it started, so nothing vouches for it: the first that is shown
//! with a token is the only one that is accepted with it. Who may listen on the host's loopback
//! before the Agent does could take its place; who may do that may read the token as well.
mod token; // what the Agent accepts, from a file

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long one question may take, and one connection.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 32 << 20;

/// Why the Agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("token of the Agent's API cannot be read from {}", .0.display())]
    Token(PathBuf, #[source] std::io::Error),
    #[error("token of the Agent's API is not read from {}: {why}", .0.display(), why = .1)]
    TokenFile(PathBuf, &'static str),
    #[error("token of the Agent's API is none")]
    TokenForm,
    #[error("Agent's API at {0} cannot be reached")]
    Connect(SocketAddr, #[source] std::io::Error),
    #[error("Agent's API broke off")]
    Http(#[source] hyper::Error),
    #[error("Agent's API refused a question with status {0}")]
    Refused(StatusCode),
    #[error("answer of the Agent's API is too large, or broke off")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("Agent's API did not answer for {DEADLINE:?}")]
    Deadline,
    #[error("answer of the Agent's API cannot be read")]
    Content(#[source] serde_json::Error),
    #[error("TLS is not possible")]
    Tls(#[source] rustls::Error),
}

impl AskError {
    /// As a metric's label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(..) | Self::TokenFile(..) | Self::TokenForm => "token",
            Self::Connect(..) => "unreachable",
            Self::Http(_) => "broken",
            Self::Refused(_) => "refused",
            Self::Answer(_) => "too_large",
            Self::Deadline => "deadline",
            Self::Content(_) => "content",
            Self::Tls(_) => "tls",
        }
    }
}

/// The Agent of this Node.
pub struct Agent {
    address: SocketAddr,
    token_file: PathBuf,
    pin: Arc<Pin>,
    config: Arc<ClientConfig>,
    /// Token, and when it was written.
    known: Option<(String, u64)>,
}

/// A connection to an Agent, for a few questions.
#[derive(Debug)]
pub struct Session {
    requests: SendRequest<Empty<Bytes>>,
    authorization: header::HeaderValue,
    host: String,
}

impl Agent {
    /// `port` is that of its API on the loopback address.
    pub fn new(port: u16, token_file: PathBuf) -> Result<Self, AskError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pin = Arc::new(Pin { provider: Arc::clone(&provider), first: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(AskError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&pin) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { address, token_file, pin, config: Arc::new(config), known: None })
    }

    /// Connects; says since when the Agent has been up, in milliseconds since 1970, if it is not
    /// the one that was connected to before. It writes its token when it starts.
    pub async fn connect(&mut self) -> Result<(Session, Option<u64>), AskError> {
        let (token, written) = self.token().await?;
        let is_new = self.known.as_ref() != Some(&(token.clone(), written));
        if is_new {
            self.pin.forget();
        }
        let bearer = header::HeaderValue::try_from(format!("Bearer {token}"));
        let mut authorization = bearer.map_err(|_invalid| AskError::TokenForm)?;
        authorization.set_sensitive(true);
        let connected = timeout(DEADLINE, self.shake_hands()).await;
        let requests = connected.map_err(|_elapsed| AskError::Deadline)??;
        self.known = Some((token, written));
        let session = Session { requests, authorization, host: self.address.to_string() };
        Ok((session, is_new.then_some(written)))
    }

    async fn token(&self) -> Result<(String, u64), AskError> {
        let path = self.token_file.clone();
        // What is no regular file may not answer at all, which must keep nobody from ending.
        let read = tokio::task::spawn_blocking(move || token::read(path));
        let read = timeout(DEADLINE, read).await.map_err(|_elapsed| AskError::Deadline)?;
        read.map_err(|_gone| AskError::Deadline)?
    }

    async fn shake_hands(&self) -> Result<SendRequest<Empty<Bytes>>, AskError> {
        let failed = |error| AskError::Connect(self.address, error);
        let stream = TcpStream::connect(self.address).await.map_err(failed)?;
        let name = ServerName::from(self.address.ip());
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        let (requests, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Http)?;
        // Ends with the session. What goes wrong is told to whoever asks.
        tokio::spawn(async move { connection.await.ok() });
        Ok(requests)
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token.
        let Self { address, token_file, .. } = self;
        let mut told = f.debug_struct("Agent");
        told.field("address", address).field("token_file", token_file).finish_non_exhaustive()
    }
}

impl Session {
    /// The answer to one question, read whole.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, AskError> {
        let answered = timeout(DEADLINE, self.ask(path)).await;
        answered.map_err(|_elapsed| AskError::Deadline)?
    }

    async fn ask(&mut self, path: &str) -> Result<Bytes, AskError> {
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .body(Empty::new())
            .map_err(|_unmade| AskError::TokenForm)?;
        self.requests.ready().await.map_err(AskError::Http)?;
        let answer = self.requests.send_request(request).await.map_err(AskError::Http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_LIMIT);
        let body = body.collect().await.map_err(AskError::Answer)?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(AskError::Refused(status)) }
    }
}

/// Accepts one certificate, whatever it says.
#[derive(Debug)]
struct Pin {
    provider: Arc<CryptoProvider>,
    first: Mutex<Option<CertificateDer<'static>>>,
}

impl Pin {
    fn forget(&self) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            Some(first) if first != end_entity => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Some(_) => Ok(ServerCertVerified::assertion()),
            None => {
                *first = Some(end_entity.clone().into_owned());
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_the_token_in_a_log() {
        let mut agent = Agent::new(10_350, PathBuf::from("/token")).unwrap();
        agent.known = Some(("s3cret".to_owned(), 7));
        let shown = format!("{agent:?}");
        assert!(shown.contains("/token") && !shown.contains("s3cret"), "{shown}");
    }
}
