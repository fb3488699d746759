//! A sink that is an Exporting Process.
//!
//! What was written whole to a connection is never written again, and what was not waits for the
//! next one: [`ipfix::transport::export`] sees to that, and counts what a lost connection leaves
//! in doubt.

use config::Chain;
use flow::Batch;
use ipfix::encode::MAX_STREAM_MESSAGE;
use ipfix::transport::SessionError;
use ipfix::transport::export::{ExportCounters, ExportingProcess, Messages, Refresh};
use tokio::sync::watch;

use super::Options;
use super::flows::{Flows, packing};
use crate::way::destination;
use crate::{Deeds, OptionsError, Sink, SinkError, Transport};

/// The longest message over UDP, whatever the way there carries: some collectors have no room for
/// more.
const LONGEST_DATAGRAM: u16 = 9_000;
/// What a datagram can be at most: 65,535 bytes with the headers of IP and UDP.
const ANY_DATAGRAM: u16 = 65_507;
/// Templates are sent again after so many messages over UDP, if that is before their time.
const REFRESH_MESSAGES: u32 = 1_000;

/// Sends records over IPFIX.
#[derive(Debug)]
pub struct IpfixSink {
    options: Options,
    process: ExportingProcess<Flows>,
    /// The longest message of the session.
    longest: u16,
    counters: watch::Sender<ExportCounters>,
    /// When records were last taken, in milliseconds since 1970.
    now_ms: u64,
}

impl IpfixSink {
    /// Fails if nothing could ever be sent like this. Connects with the first records.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let destination = destination(&options.to)?;
        let is_udp = destination.is_udp();
        let longest = match options.max_message {
            Some(limit) if is_udp && limit > ANY_DATAGRAM => {
                return Err(OptionsError::Datagram { limit, most: ANY_DATAGRAM });
            }
            Some(limit) => limit,
            None if is_udp => LONGEST_DATAGRAM,
            None => MAX_STREAM_MESSAGE,
        };
        let flows = Flows::new(&options);
        // A message with a record has the headers of the message and of a Set.
        let least = flows.least_record() + 20;
        let process = ExportingProcess::new(destination, messages(&options, longest), flows)
            .map_err(|source| OptionsError::Template { limit: longest, source })?;
        if least > usize::from(longest) {
            return Err(OptionsError::Record { least, limit: longest });
        }
        let counters = watch::Sender::new(ExportCounters::default());
        Ok(Self { options, process, longest, counters, now_ms: 0 })
    }

    /// What has been done so far.
    pub fn counters(&self) -> watch::Receiver<ExportCounters> {
        self.counters.subscribe()
    }

    /// Before a session over UDP: no message is longer than what the way there carries in one
    /// packet.
    async fn fit_way(&mut self) -> Result<(), SessionError> {
        if self.process.is_open() || self.options.to.transport != Transport::Udp {
            return Ok(());
        }
        let way = self.process.destination().longest_datagram().await?;
        let wanted = self.options.max_message.unwrap_or(LONGEST_DATAGRAM);
        let longest = wanted.min(way);
        if longest == self.longest {
            return Ok(());
        }
        if self.options.max_message.is_some() && longest < wanted {
            tracing::warn!(
                wanted,
                longest,
                address = self.options.to.address,
                "messages are shorter than configured: the way there carries no longer ones whole"
            );
        }
        self.longest = longest;
        let destination = self.process.destination().clone();
        self.process.redirect(destination, messages(&self.options, longest)).await
    }

    async fn send(&mut self) -> Result<(), SessionError> {
        self.fit_way().await?;
        let now_s = u32::try_from(self.now_ms / 1000).unwrap_or(u32::MAX);
        self.process.flush(now_s).await
    }

    /// Makes what has been done so far visible.
    fn count(&mut self) {
        let counters = self.process.counters();
        self.counters.send_if_modified(|seen| {
            let lost = counters.records_in_doubt.saturating_sub(seen.records_in_doubt);
            if lost > 0 {
                tracing::warn!(
                    address = self.options.to.address,
                    records = lost,
                    "connection was lost: nobody can say whether these records were read"
                );
            }
            std::mem::replace(seen, counters) != counters
        });
    }
}

impl Drop for IpfixSink {
    /// An attempt that was broken off counts too.
    fn drop(&mut self) {
        self.count();
    }
}

fn messages(options: &Options, max_length: u16) -> Messages {
    let refresh = Refresh { after: options.template_refresh, after_messages: REFRESH_MESSAGES };
    Messages {
        domain: options.domain,
        packing: packing(options.profile),
        max_length,
        refresh: (options.to.transport == Transport::Udp).then_some(refresh),
    }
}

impl Sink for IpfixSink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        self.now_ms = now_ms;
        // At most one batch is held.
        if self.process.pending() > 0 {
            self.flush().await?;
        }
        for record in self.process.export().told(batch) {
            self.process.push(record);
        }
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        self.process.pending() > 0
    }

    async fn end(&mut self) {
        self.process.close().await.ok();
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let sent = self.send().await;
        self.count();
        match sent {
            Ok(()) => Ok(()),
            // As long as the way is what it is, there is nothing to be waited for.
            Err(error @ SessionError::Template(_)) => {
                let records = self.process.abandon().len();
                tracing::error!(error = %Chain(&error), "templates are too long for the way");
                Err(SinkError::Refused { records, source: Box::new(error) })
            }
            Err(error) => Err(SinkError::unavailable(error)),
        }
    }

    fn deeds(&self) -> Option<Deeds> {
        Some(Deeds::Ipfix(self.counters()))
    }

    fn let_go(&mut self) -> u64 {
        let flows = self.process.export_mut();
        if let Some(error) = flows.reason.take() {
            let address = &self.options.to.address;
            tracing::error!(address, records = flows.refused, %error, "records fit no message");
        }
        std::mem::take(&mut flows.refused)
    }
}
