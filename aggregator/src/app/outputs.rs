//! The outputs that run, and how they follow the configuration.

use std::path::Path;

use daemon::{Ended, Supervisor};
use sinks::{DeliverOptions, LogSink, SinkError, StoreSink};

use super::StartError;
use crate::fan_out::{FanOut, Outlets};
use crate::settings::{Output, Outputs};

/// What runs, and what it was told.
#[derive(Debug)]
pub(crate) struct Running {
    outlets: Outlets,
    outputs: Outputs,
    tasks: Supervisor,
}

impl Running {
    pub(super) fn new(fan_out: FanOut) -> Self {
        let outlets = Outlets::new(fan_out, DeliverOptions::default());
        Self { outlets, outputs: Outputs::default(), tasks: Supervisor::default() }
    }

    /// Opens the embedded store, which stays as it is as long as the process lives.
    pub(super) fn store(&mut self, directory: &Path) -> Result<(), StartError> {
        let sink = StoreSink::new(store::Writer::open(directory)?);
        self.outlets.set("store", sink, &mut self.tasks);
        Ok(())
    }

    /// Starts, replaces and ends what `outputs` has otherwise. What waits for an output that is
    /// replaced goes to its successor.
    pub(crate) fn follow(&mut self, outputs: Outputs) -> Result<(), SinkError> {
        let old = self.outputs.clone().by_name();
        for ((name, new), (_, old)) in outputs.clone().by_name().into_iter().zip(old) {
            if new == old {
                continue;
            }
            match new {
                Some(output) => self.set(name, output)?,
                None => self.outlets.remove(name),
            }
            tracing::info!(output = name, "output follows the configuration");
        }
        self.outputs = outputs;
        Ok(())
    }

    fn set(&mut self, name: &'static str, output: Output) -> Result<(), SinkError> {
        match output {
            Output::Ipfix(_) | Output::Json(_) => {}
            Output::Log(options) => {
                self.outlets.set(name, LogSink::open(&options.path)?, &mut self.tasks);
            }
        }
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
        self.outlets.close();
        self.tasks.all_end().await
    }
}
