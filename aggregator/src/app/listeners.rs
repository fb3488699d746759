//! Where records are taken.

use std::net::SocketAddr;

use daemon::Supervisor;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::StartError;
use super::certificates::Served;
use crate::collect::{Collecting, CollectorLimits};
use crate::settings::{Listener, Settings, Transport};

/// Bytes that the kernel keeps of datagrams nobody has read yet.
const DATAGRAM_BUFFER: usize = 8 << 20;

/// What all listeners share.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) collecting: Collecting,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Taking {
    /// Listens wherever the configuration says, each place by a stage of its own.
    pub(super) async fn listen(
        &self,
        settings: &Settings,
        served: Option<&Served>,
        stages: &mut Supervisor,
    ) -> Result<(), StartError> {
        // Connections of IPFIX and gRPC, and some for everything else.
        let sessions = 2 * CollectorLimits::default().sessions as u64;
        if let Err(error) = daemon::raise_open_files(sessions + 256) {
            tracing::warn!(%error, "not all sessions there may be can be opened at once");
        }
        if let Some(address) = settings.input.grpc.value {
            self.grpc(address, settings, served, stages).await?;
        }
        for listener in settings.input.listeners() {
            self.ipfix(listener, served, stages).await?;
        }
        for address in settings.input.netflow.value.iter().copied() {
            tracing::warn!(listen = %address, "NetFlow is taken from anybody");
            let failed = |source| StartError::Listen { address, source };
            let socket = ipfix::transport::bind_udp(address, DATAGRAM_BUFFER).map_err(failed)?;
            let (collecting, stopped) = self.both();
            let taking = async move { collecting.netflow(socket, stopped).await };
            stages.spawn("collecting NetFlow", taking);
        }
        Ok(())
    }

    fn both(&self) -> (Collecting, watch::Receiver<bool>) {
        (self.collecting.clone(), self.stopped.clone())
    }

    async fn ipfix(
        &self,
        listener: Listener,
        served: Option<&Served>,
        stages: &mut Supervisor,
    ) -> Result<(), StartError> {
        let Listener { address, transport } = listener;
        let failed = |source| StartError::Listen { address, source };
        let (collecting, stopped) = self.both();
        match transport {
            Transport::Udp => {
                warn_of_anybody(listener, "UDP has no authentication");
                let socket =
                    ipfix::transport::bind_udp(address, DATAGRAM_BUFFER).map_err(failed)?;
                let taking = async move { collecting.udp(socket, stopped).await };
                stages.spawn("collecting over UDP", taking);
            }
            Transport::Tcp => {
                warn_of_anybody(listener, "TCP has no authentication");
                let socket = TcpListener::bind(address).await.map_err(failed)?;
                let taking = async move { collecting.tcp(socket, stopped).await };
                stages.spawn("collecting", taking);
            }
            Transport::Tls => {
                let served = served.ok_or(StartError::NoCertificates { listener })?;
                if served.asks {
                    tracing::info!(%listener, "IPFIX is taken");
                } else {
                    warn_of_anybody(listener, "see tls.clientCAFile");
                }
                let socket = TcpListener::bind(address).await.map_err(failed)?;
                let source = served.source.clone();
                let taking = async move { collecting.tls(socket, source, stopped).await };
                stages.spawn("collecting over TLS", taking);
            }
        }
        Ok(())
    }

    async fn grpc(
        &self,
        address: SocketAddr,
        settings: &Settings,
        served: Option<&Served>,
        stages: &mut Supervisor,
    ) -> Result<(), StartError> {
        match served {
            None if !settings.is_plain => return Err(StartError::NoCertificatesForGrpc),
            None => tracing::warn!(
                listen = %address,
                "gRPC is taken from anybody, and not encrypted; see --tls-certificate"
            ),
            Some(Served { asks: false, .. }) => tracing::warn!(
                listen = %address,
                "gRPC is taken from anybody; see --tls-client-ca"
            ),
            Some(_) => tracing::info!(listen = %address, "gRPC is taken"),
        }
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| StartError::ListenGrpc { address, source })?;
        let source = served.map(|served| served.source.clone());
        let (collecting, stopped) = self.both();
        let taking = async move { collecting.grpc(listener, source, stopped).await };
        stages.spawn("collecting over gRPC", taking);
        Ok(())
    }
}

fn warn_of_anybody(listener: Listener, why: &str) {
    tracing::warn!(%listener, why, "IPFIX is taken from anybody");
}
