//! What is shown of the certificates that this aggregator serves with.

use std::fmt;
use std::sync::{Arc, OnceLock};

use k8s::certificates::{Counters, FollowCounters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

/// Who sees to the certificates, and counts that.
#[derive(Debug)]
pub enum Certificates {
    /// They are our own, kept in the cluster.
    Kept(watch::Receiver<Counters>),
    /// Somebody else's, in files: for each way in which they are used.
    Followed(Vec<watch::Receiver<FollowCounters>>),
}

/// Shows nothing until it is known who sees to them. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub struct CertificateMetrics(Arc<OnceLock<Certificates>>);

type Row<T> = (&'static str, &'static str, fn(&T) -> u64);

const KEPT: [Row<Counters>; 7] = [
    ("checks", "Times the objects with our certificates were looked at", |it| it.checks),
    ("checks_failed", "Times our certificates could not be read, or not be set right", |it| {
        it.checks_failed
    }),
    ("conflicts", "Writes that another replica was faster with", |it| it.conflicts),
    ("authorities_written", "CAs written", |it| it.authorities_written),
    ("clients_written", "Certificates for exporters written", |it| it.clients_written),
    ("bundles_written", "Bundles of CAs written", |it| it.bundles_written),
    ("configurations", "Times new handshakes got new certificates", |it| it.configurations),
];

const FOLLOWED: [Row<FollowCounters>; 3] = [
    ("readings", "Times the files with certificates were read", |it| it.readings),
    ("readings_failed", "Times certificates in files could not be read, or not be used", |it| {
        it.readings_failed
    }),
    ("configurations", "Times new handshakes got new certificates", |it| it.configurations),
];

impl CertificateMetrics {
    /// Makes visible what will be shown.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("fyke_aggregator");
        registry.register_collector(Box::new(self.clone()));
    }

    /// Shows these from now on, if nothing has been shown yet.
    pub fn show(&self, certificates: Certificates) {
        self.0.get_or_init(|| certificates);
    }
}

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        match self.0.get() {
            None => Ok(()),
            Some(Certificates::Kept(counters)) => {
                let now = *counters.borrow();
                for (name, help, of) in KEPT {
                    counter(&mut encoder, name, help, of(&now))?;
                }
                let ends = i64::try_from(now.authority_ends_s).unwrap_or(i64::MAX);
                let help = "When the CA ends, in seconds since 1970";
                let name = "certificates_authority_ends_seconds";
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(ends).encode(metric)
            }
            Some(Certificates::Followed(followers)) => {
                let now: Vec<_> = followers.iter().map(|counters| *counters.borrow()).collect();
                for (name, help, of) in FOLLOWED {
                    counter(&mut encoder, name, help, now.iter().map(of).sum())?;
                }
                Ok(())
            }
        }
    }
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let name = format!("certificates_{name}");
    let metric = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}
