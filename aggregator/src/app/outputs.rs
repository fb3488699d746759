//! The outputs that run, and how they follow the configuration.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use daemon::{Ended, Supervisor};
use sinks::click_house::ClickHouseSink;
use sinks::ipfix::IpfixSink;
use sinks::json::JsonSink;
use sinks::{DeliverOptions, LogSink, OptionsError, StoreSink};
use tokio::time::timeout;

use super::StartError;
use crate::enrich::Wanted;
use crate::fan_out::{FanOut, Outlets};
use crate::settings::{Output, Outputs, StoreSettings};

/// How long outputs may take for the last records: with what sessions and flows take before, a
/// process that is asked to end does so within 5 s. Some may linger: [`sinks::Sink::linger`].
const CLOSE_WITHIN: Duration = Duration::from_millis(2750);
/// How long they may take altogether, whatever a disk does: until they see that they are to end,
/// for the last records, and for a farewell.
const END_WITHIN: Duration = Duration::from_millis(3750);

/// What runs, and what it was told.
#[derive(Debug)]
pub(crate) struct Running {
    outlets: Outlets,
    outputs: Outputs,
    /// What records are completed with.
    wanted: Arc<ArcSwap<Wanted>>,
    tasks: Supervisor,
}

impl Running {
    pub(super) fn new(fan_out: FanOut, wanted: Arc<ArcSwap<Wanted>>) -> Self {
        let options = DeliverOptions { close_within: CLOSE_WITHIN, ..DeliverOptions::default() };
        let outlets = Outlets::new(fan_out, options);
        Self { outlets, outputs: Outputs::default(), wanted, tasks: Supervisor::default() }
    }

    /// Opens the embedded store, which stays as it is as long as the process lives.
    pub(super) fn store(&mut self, settings: &StoreSettings) -> Result<(), StartError> {
        let StoreSettings { directory, writer, maintenance } = settings.clone();
        let writer = store::Writer::with_options(&directory, writer)?;
        let maintenance = writer.maintenance(maintenance)?;
        self.outlets.keeps(maintenance.counters());
        let sink = StoreSink::new(writer).with_maintenance(maintenance);
        self.outlets.set("store", sink, &mut self.tasks);
        Ok(())
    }

    /// Says that there are no outputs but those there are: what the spool keeps for others is
    /// nobody's any more.
    pub(super) fn complete(&mut self) {
        self.outlets.complete();
    }

    /// Has records be completed with this from now on.
    pub(crate) fn want(&self, wanted: Wanted) {
        self.wanted.store(Arc::new(wanted));
    }

    /// Starts, replaces and ends what `outputs` has otherwise; nothing of it if one of them cannot
    /// be. What waits for an output that is replaced goes to its successor.
    pub(crate) fn follow(&mut self, outputs: Outputs) -> Result<(), OptionsError> {
        let old = self.outputs.clone().by_name().map(|(_, output)| output);
        let both = outputs.clone().by_name().into_iter().zip(old);
        let changed = both.filter(|((_, new), old)| new != old).map(|(new, _)| new);
        let made =
            |(name, output): (_, Option<Output>)| Ok((name, output.map(Made::new).transpose()?));
        let made: Vec<_> = changed.map(made).collect::<Result<_, OptionsError>>()?;
        for (name, output) in made {
            match output {
                Some(Made::Ipfix(sink)) => self.outlets.set(name, sink, &mut self.tasks),
                Some(Made::Json(sink)) => self.outlets.set(name, sink, &mut self.tasks),
                Some(Made::Log(sink)) => self.outlets.set(name, sink, &mut self.tasks),
                Some(Made::ClickHouse(sink)) => self.outlets.set(name, sink, &mut self.tasks),
                #[cfg(feature = "s3")]
                Some(Made::S3(sink)) => self.outlets.set(name, *sink, &mut self.tasks),
                None => self.outlets.remove(name),
            }
            tracing::info!(output = name, "output follows the configuration");
        }
        self.outputs = outputs;
        Ok(())
    }

    /// Waits until the task of an output ends, which none should.
    ///
    /// # Cancel safety
    ///
    /// No end is lost by dropping the future.
    pub(super) async fn any_end(&mut self) -> Ended {
        self.tasks.any_end().await
    }

    /// Delivers what waits, and ends.
    pub(super) async fn close(mut self) -> Result<(), Ended> {
        let within = END_WITHIN + self.outlets.linger();
        self.outlets.close();
        let ended = timeout(within, self.tasks.all_end()).await;
        ended.unwrap_or_else(|_| {
            let cause = Some("its disk or its far end does not answer".into());
            Err(Ended { task: "an output", cause })
        })
    }
}

/// An output that can be started. None reaches for its far end before it has records.
#[expect(clippy::large_enum_variant, reason = "there are four, for a moment")]
enum Made {
    Ipfix(IpfixSink),
    Json(JsonSink),
    Log(LogSink),
    ClickHouse(ClickHouseSink),
    #[cfg(feature = "s3")]
    S3(Box<sinks::S3Sink>),
}

impl Made {
    fn new(output: Output) -> Result<Self, OptionsError> {
        Ok(match output {
            Output::Ipfix(options) => Self::Ipfix(IpfixSink::new(options)?),
            Output::Json(options) => Self::Json(JsonSink::new(options)?),
            Output::Log(options) => Self::Log(LogSink::new(options)),
            Output::ClickHouse(options) => Self::ClickHouse(ClickHouseSink::new(options)),
            #[cfg(feature = "s3")]
            Output::S3(options) => Self::S3(Box::new(sinks::S3Sink::new(options))),
        })
    }
}
