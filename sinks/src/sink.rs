//! What a far end must be able to do.

use std::error::Error;
use std::time::Duration;

use flow::Batch;
use store::Mark;

use crate::Deeds;

/// What [`Sink::linger`] is where many records go in one request. Kubernetes kills a Pod 30 s after
/// it was asked to end.
pub(crate) const LINGER: Duration = Duration::from_secs(15);

/// A place that records are delivered to.
///
/// Taking a batch and making it durable are two steps, because for some far ends the second one
/// is worth doing only for many batches at once.
pub trait Sink: Send {
    /// Takes all records of the batch, as of `now_ms` (milliseconds since 1970), or none of them.
    fn write(
        &mut self,
        batch: &Batch,
        now_ms: u64,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Asks the far end for what must be known of it, so that what is wrong is told before there are
    /// records. Called once, before anything else, and perhaps broken off: whatever is not known
    /// after it is asked for again when it is needed.
    fn begin(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send {
        async { Ok(()) }
    }

    /// What is written next ends at this place of the log. For sinks that note it with what they
    /// store, so that nothing is stored twice.
    fn approach(&mut self, _mark: Mark) {}

    /// Up to where such a sink has everything durable, when it starts.
    fn resumes_at(&self) -> Option<Mark> {
        None
    }

    /// Up to where numbers of the log may be known to the far end as those of certain records,
    /// when the sink starts: no others must get them, should the log have lost its end.
    fn has_named(&self) -> Option<Mark> {
        None
    }

    /// Lets the sink do what it does beside taking records. Asked several times a second, whether
    /// there are records or not; must not wait.
    fn tick(&mut self, _now_ms: u64) {}

    /// Whether what was taken should be made durable now.
    fn due(&self, now_ms: u64) -> bool;

    /// Makes everything that was taken durable. After [`SinkError::Unavailable`] the sink still
    /// holds it; after [`SinkError::Refused`] it has let go of it.
    fn flush(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// What has become durable since this was last asked, before a flush: of what was taken, the
    /// first. For sinks that need not wait for all of it.
    fn stored(&mut self) -> Stored {
        Stored::default()
    }

    /// Takes leave of the far end, once no more comes.
    fn end(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// How much longer than others it may take for the last records of a process if nothing keeps
    /// them: as long as the last attempt before its end did not fail.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }

    /// Where this sink counts what it does beside taking records.
    fn deeds(&self) -> Option<Deeds> {
        None
    }

    /// Of what was taken, how many records had to be dropped one by one since this was last asked,
    /// while the others went on: such as one that is too long for its format.
    fn let_go(&mut self) -> u64 {
        0
    }
}

/// What a sink has made durable of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    pub records: u64,
    /// Behind them in the log, if the sink was told places in one.
    pub mark: Option<Mark>,
}

/// Why a sink did not do what it was asked to, split by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Worth trying again: the far end is away, busy, slow or full.
    #[error("the sink is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Not worth trying again: the same records would be refused again.
    #[error("the sink refused {records} records")]
    Refused {
        records: usize,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SinkError {
    pub(crate) fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Box::new(source))
    }
}
