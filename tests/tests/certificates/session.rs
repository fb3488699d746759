//! A Transport Session of our own between what the keeper serves and what an exporter follows.

use std::sync::Arc;
use std::time::Instant;

use ipfix::decode::{Session, Summary};
use ipfix::encode::{EncodeError, Encoder};
use ipfix::registry::iana;
use ipfix::template::{Template, TemplateId};
use ipfix::transport::collect::{
    CollectingProcess, Collector, CollectorSession, Limits, Peer, Rejected,
};
use ipfix::transport::export::{Export, ExportingProcess, Messages};
use ipfix::transport::{ClientTls, Destination, ServerTls, Transport};
use rustls::pki_types::ServerName;
use tests::api_server::StandIn;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::cluster::{DAY, SERVER, keeper, now, of_aggregator};

/// Exports numbers.
struct Numbers;

impl Export for Numbers {
    type Record = u64;

    fn templates(&self) -> Vec<Template> {
        vec![Template::new(TemplateId::MIN, [iana::OCTET_DELTA_COUNT])]
    }

    fn encode(
        &self,
        record: &u64,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encoder.record(export_time, TemplateId::MIN, out, |writer| writer.u64(*record))
    }
}

/// Tells the numbers that arrive from peers with a certificate.
struct Receiver(mpsc::UnboundedSender<u64>);

struct Receiving(mpsc::UnboundedSender<u64>, Session<()>);

impl Collector for Receiver {
    type Plan = ();
    type Session = Receiving;

    fn open(&self, peer: &Peer, decoder: Session<()>) -> Receiving {
        assert!(peer.certificate.is_some(), "a certificate was required");
        Receiving(self.0.clone(), decoder)
    }
}

impl CollectorSession for Receiving {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        let numbers = &self.0;
        Ok(self.1.decode_at(
            now,
            message,
            |_| (),
            |(), _, record| {
                let number = record.value(0).and_then(ipfix::value::unsigned);
                numbers.send(number.unwrap()).unwrap();
            },
        )?)
    }
}

#[tokio::test]
async fn one_transport_session_outlives_its_certificates_and_the_next_has_new_ones() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now() - 280 * DAY).await;
    let (sender, mut numbers) = mpsc::unbounded_channel();
    let collecting = CollectingProcess::new(Receiver(sender), Limits::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (serving, process) = (keeper.server(), collecting.clone());
    let shutdown = watch::Sender::new(false);
    let stop = shutdown.subscribe();
    let tls = ServerTls::new(move || serving.config());
    let listening = tokio::spawn(async move { process.tls(listener, tls, stop).await });

    let mut follower = of_aggregator(&server).await;
    let name = ServerName::try_from(SERVER).unwrap();
    let source = Arc::new(follower.client());
    let exporter = || {
        let source = Arc::clone(&source);
        let tls = ClientTls::new(name.clone(), move || source.config());
        let destination = Destination::new(address.to_string(), Transport::Tls(tls));
        let messages = Messages::conservative(7, &destination);
        ExportingProcess::new(destination, messages, Numbers).unwrap()
    };
    let (mut first, mut second) = (exporter(), exporter());
    first.push(1);
    first.flush(0).await.unwrap();
    keeper.check(now()).await.unwrap();
    keeper.check(now() + 31 * DAY).await.unwrap();
    first.push(2);
    first.flush(0).await.unwrap();
    second.push(3);
    second.flush(0).await.expect_err("the exporter has not read the new CA");
    follower.check().await.unwrap();
    second.flush(0).await.unwrap();
    let mut arrived = [0; 3];
    for number in &mut arrived {
        *number = numbers.recv().await.unwrap();
    }
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3]);
    let counters = collecting.counters();
    assert_eq!((counters.opened, counters.ended_broken, counters.refused_handshake), (2, 0, 1));
    assert_eq!((first.counters().sessions, second.counters().sessions), (1, 1));
    shutdown.send_replace(true);
    listening.await.unwrap();
}
