use std::net::IpAddr;
use std::sync::atomic::Ordering;

use k8s::certificates::FollowCounters;
use k8s::client::Reason;
use k8s::service::ServiceError;
use k8s::watch::{LeftOut, Progress};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::desired::Picture;
use super::translate::Refusal;

/// A reason, as a label.
type Why = [(&'static str, &'static str); 1];

/// What finding destinations has come to.
#[derive(Debug, Default)]
pub struct Counters {
    running: Gauge,
    refused: Family<Why, Gauge>,
    unknown: Gauge,
    absent: Gauge,
    denied: Gauge,
    restarts: Family<Why, Counter>,
    left_out: Family<Why, Counter>,
    located: Counter,
    not_located: Family<Why, Counter>,
    readings: Counter,
    readings_failed: Counter,
    configurations: Counter,
}

impl Counters {
    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        self.announce();
        let registry = registry.sub_registry_with_prefix("fyke_exporter");
        let gauges = [
            ("custom_resources_running", "FlowExporterDestinations in force", &self.running),
            (
                "custom_resources_not_remembered",
                "FlowExporterDestinations there is no room for",
                &self.unknown,
            ),
            (
                "custom_resources_absent",
                "1 while the API server has no FlowExporterDestination installed",
                &self.absent,
            ),
            (
                "custom_resources_denied",
                "1 while the API server does not allow to watch them",
                &self.denied,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let help = "FlowExporterDestinations that are not in force as they are now";
        registry.register("custom_resources_refused", help, self.refused.clone());
        let restarts = "Times the watch of FlowExporterDestinations began anew";
        let left_out = "FlowExporterDestinations that were left out";
        let not_located = "Services that a destination names and that have no address";
        for (name, help, family) in [
            ("custom_resources_restarts", restarts, &self.restarts),
            ("custom_resources_left_out", left_out, &self.left_out),
            ("services_not_located", not_located, &self.not_located),
        ] {
            registry.register(name, help, family.clone());
        }
        let located = "Addresses of Services that destinations name, looked up";
        let readings = "Times certificates of destinations were read";
        let failed = "Times they could not be read, or not be used";
        let configurations = "Times new handshakes got new certificates";
        for (name, help, counter) in [
            ("services_located", located, &self.located),
            ("certificates_readings", readings, &self.readings),
            ("certificates_readings_failed", failed, &self.readings_failed),
            ("certificates_configurations", configurations, &self.configurations),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// Has every series there, at 0.
    fn announce(&self) {
        for reason in Refusal::REASONS {
            self.refused.get_or_create(&why(reason)).inc_by(0);
        }
        for reason in ServiceError::REASONS {
            self.not_located.get_or_create(&why(reason)).inc_by(0);
        }
        for reason in Reason::ALL {
            self.restarts.get_or_create(&why(reason.name())).inc_by(0);
        }
        for what in LeftOut::ALL {
            self.left_out.get_or_create(&why(what.name())).inc_by(0);
        }
    }

    pub(super) fn pictured(&self, picture: &Picture) {
        self.running.set(number(picture.specs.len()));
        self.unknown.set(picture.unknown.try_into().unwrap_or(i64::MAX));
        for reason in Refusal::REASONS {
            let count = picture.refused.iter().filter(|it| it.why.reason() == reason).count();
            self.refused.get_or_create(&why(reason)).set(number(count));
        }
    }

    /// Takes over how the watch is doing.
    pub(super) fn watched(&self, progress: &Progress) {
        for (_, state) in progress.kinds() {
            self.absent.set(i64::from(state.absent));
            self.denied.set(i64::from(state.denied.is_some()));
            for reason in Reason::ALL {
                let counter = self.restarts.get_or_create(&why(reason.name()));
                counter.inner().store(state.restarts.of(reason), Ordering::Relaxed);
            }
            for what in LeftOut::ALL {
                let counter = self.left_out.get_or_create(&why(what.name()));
                counter.inner().store(state.left_out.of(what), Ordering::Relaxed);
            }
        }
    }

    pub(super) fn located(&self, found: &Result<IpAddr, ServiceError>) {
        match found {
            Ok(_) => self.located.inc(),
            Err(error) => self.not_located.get_or_create(&why(error.reason())).inc(),
        };
    }

    pub(super) fn material_unread(&self) {
        self.readings.inc();
        self.readings_failed.inc();
    }

    pub(super) fn material(&self, before: FollowCounters, now: FollowCounters) {
        for (counter, before, now) in [
            (&self.readings, before.readings, now.readings),
            (&self.readings_failed, before.readings_failed, now.readings_failed),
            (&self.configurations, before.configurations, now.configurations),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
    }
}

fn why(reason: &'static str) -> Why {
    [("reason", reason)]
}

fn number(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
