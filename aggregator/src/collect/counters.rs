//! What is counted of sessions and the claims they make.

use std::sync::{Mutex, PoisonError};

use ipfix::transport::KernelDrops;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Verdict;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

/// What is counted here, over all sessions since the start.
#[derive(Debug)]
pub(super) struct Counters {
    by_verdict: Family<VerdictLabel, Counter>,
    /// The same, in the order of [`Verdict::ALL`].
    verdicts: [Counter; 6],
    pub(super) claims_refused: Counter,
    pub(super) double_exports: Counter,
    pub(super) fields_unknown: Counter,
    /// Of the kernel, as far as it was asked.
    drops: Family<ListenerLabel, Counter>,
    sockets: Mutex<Vec<Socket>>,
}

/// A socket whose drops are followed.
#[derive(Debug)]
struct Socket {
    listener: &'static str,
    drops: KernelDrops,
    counted: u64,
}

impl Default for Counters {
    fn default() -> Self {
        let by_verdict = Family::<VerdictLabel, Counter>::default();
        let counter = |verdict: Verdict| -> Counter {
            let label = VerdictLabel { verdict: verdict.name() };
            by_verdict.get_or_create(&label).clone()
        };
        Self {
            verdicts: Verdict::ALL.map(counter),
            by_verdict,
            claims_refused: Counter::default(),
            double_exports: Counter::default(),
            fields_unknown: Counter::default(),
            drops: Family::default(),
            sockets: Mutex::default(),
        }
    }
}

impl Counters {
    pub(super) fn judged(&self, verdict: Verdict, records: u64) {
        self.verdicts[verdict as usize].inc_by(records);
    }

    #[cfg(test)]
    pub(super) fn of_verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize].get()
    }

    pub(super) fn follow_drops(&self, listener: &'static str, drops: KernelDrops) {
        // Shown as 0 until there are any.
        drop(self.drops.get_or_create(&ListenerLabel { listener }));
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.push(Socket { listener, drops, counted: 0 });
    }

    #[cfg(test)]
    pub(super) fn show_drops(&self, listener: &'static str) {
        drop(self.drops.get_or_create(&ListenerLabel { listener }));
    }

    /// Asks the kernel. What a socket dropped after that and before it was closed is not known.
    pub(super) fn count_drops(&self) {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain_mut(|socket| {
            let Ok(now) = socket.drops.count() else { return false };
            let label = ListenerLabel { listener: socket.listener };
            self.drops.get_or_create(&label).inc_by(now.saturating_sub(socket.counted));
            socket.counted = now;
            true
        });
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let claims = "Records by whether their session may speak for the Node they name";
        registry.register("claims", claims, self.by_verdict.clone());
        for (name, help, counter) in [
            (
                "claims_refused",
                "Records dropped because their session may not speak for the Node they name",
                &self.claims_refused,
            ),
            (
                "double_exports",
                "Turns that two sessions took in telling of the same Node",
                &self.double_exports,
            ),
            (
                "template_fields_unknown",
                "Fields of templates whose element is not known and passed over",
                &self.fields_unknown,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        let drops = "Datagrams that the kernel dropped because its buffer was full";
        registry.register("datagrams_dropped", drops, self.drops.clone());
    }
}
