//! The conversation over the bridge's socket, for ever.

use std::io;
use std::path::Path;
use std::time::Duration;

use daemon::Chain;
use ipfix::transport::Backoff;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::inbox::Inbox;
use super::meaning::Passed;
use super::message::ProtocolError;
use super::session::{Failure, Session, Told};
use super::{Counters, Options};
use crate::deny::{Loss, Reporter};

/// How often the switch is asked whether it is there, and how often it may not answer.
const PROBE: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 3;
/// Probes between two looks at the flows.
const LOOK: u32 = 2;
/// How long the switch may take no byte, or no connection.
const STALLED: Duration = Duration::from_secs(5);
/// Waits before connecting again.
const RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// Denied packets must have been seen for so long that the next try may come soon again: a switch
/// that hangs up on whoever has asked would be asked, and its end logged, twice a second.
const PROVEN: Duration = RETRY[1];

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the switch has closed the connection")]
    Closed,
    #[error("the connection is broken")]
    Broken(#[from] io::Error),
    #[error("the switch does not answer")]
    Silent,
    #[error("the switch takes no more bytes")]
    Stalled,
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl End {
    /// The name in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken(_) => "broken",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Failed(Failure::Protocol(_)) => "protocol",
            Self::Failed(Failure::Version) => "version",
            Self::Failed(Failure::Refused { .. }) => "refused",
        }
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Failed(error.into())
    }
}

/// Watches the bridge and reports denied packets until it is dropped, whatever becomes of the
/// switch. `now_ns` says when a packet came, in nanoseconds since 1970.
pub async fn watch(
    options: Options,
    reporter: Reporter,
    counters: Counters,
    now_ns: impl Fn() -> u64,
) {
    let [initial, max] = RETRY;
    let mut backoff = Backoff::new(initial, max);
    let mut observer =
        Observer { options: &options, reporter, counters, now_ns, watching: None, told_off: false };
    loop {
        match connect(&options.socket).await {
            Ok(stream) => {
                let end = observer.converse(stream).await;
                observer.reporter.set_active(false);
                if observer.watching.take().is_some_and(|since| since.elapsed() >= PROVEN) {
                    backoff.reset();
                }
                observer.counters.ended(&end);
                tracing::warn!(bridge = %options.socket.display(), error = %Chain(&end), "denied packets are not seen");
            }
            Err(error) => {
                observer.counters.connect_failures.inc();
                // Also when it was there before: each session's end has been told already.
                tracing::debug!(bridge = %options.socket.display(), error = %Chain(&error), "no connection to the bridge");
            }
        }
        sleep(backoff.next_delay(rand::random())).await;
    }
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    timeout(STALLED, UnixStream::connect(socket)).await?
}

struct Observer<'a, N> {
    options: &'a Options,
    reporter: Reporter,
    counters: Counters,
    now_ns: N,
    /// Since when the session tells of denied packets.
    watching: Option<Instant>,
    /// The log says already that no flow tells of denied packets.
    told_off: bool,
}

impl<N: Fn() -> u64> Observer<'_, N> {
    async fn converse(&mut self, mut stream: UnixStream) -> End {
        self.counters.sessions.inc();
        let (mut session, mut inbox) = (Session::new(self.options), Inbox::new());
        let mut probes = interval(PROBE);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        probes.reset();
        let (mut unanswered, mut round) = (0, 0);
        loop {
            if let Err(end) = send(&mut stream, &mut session).await {
                return end;
            }
            tokio::select! {
                read = stream.read(inbox.space()) => match read {
                    Ok(0) => return End::Closed,
                    Ok(count) => {
                        inbox.filled(count);
                        unanswered = 0;
                        if let Err(end) = self.take(&mut inbox, &mut session) {
                            return end;
                        }
                    }
                    Err(error) => return error.into(),
                },
                _ = probes.tick() => {
                    if unanswered >= PATIENCE {
                        return End::Silent;
                    }
                    (unanswered, round) = (unanswered + 1, round + 1);
                    session.probe();
                    if round % LOOK == 0 {
                        session.look_again();
                    }
                }
            }
        }
    }

    fn take(&mut self, inbox: &mut Inbox, session: &mut Session<'_>) -> Result<(), End> {
        let now_ns = (self.now_ns)();
        while let Some(message) = inbox.next()? {
            session.receive(message, now_ns, &mut |told| self.told(told))?;
        }
        Ok(())
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Denied(denied) => self.reporter.tell(denied),
            Told::Passed(why) => {
                self.counters.passed(why);
                if why == Passed::Unreadable {
                    self.reporter.lost(Loss::Malformed, 1);
                }
            }
            Told::Watching { controller, tables } => {
                self.watching.get_or_insert_with(Instant::now);
                self.reporter.set_active(true);
                let bridge = self.options.socket.display();
                tracing::info!(%bridge, controller, tables, "denied packets are seen");
            }
            Told::Flows(flows) => self.flows(flows),
            Told::Unanswered => {
                self.counters.unanswered.inc();
            }
        }
    }

    fn flows(&mut self, flows: u64) {
        self.counters.flows.set(i64::try_from(flows).unwrap_or(i64::MAX));
        let is_off = flows == 0;
        if is_off && !self.told_off {
            tracing::warn!(
                "no flow of the bridge tells of denied packets: the Agent's feature gate FlowExporter must be on"
            );
        }
        self.told_off = is_off;
    }
}

/// Sends all there is to say. The switch is not read meanwhile; the answers it can provoke are no
/// longer than what it has sent.
async fn send(stream: &mut UnixStream, session: &mut Session<'_>) -> Result<(), End> {
    let sent = timeout(STALLED, stream.write_all(session.outbox.bytes())).await;
    session.outbox.clear();
    match sent {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(End::Stalled),
    }
}

#[cfg(test)]
mod tests;
