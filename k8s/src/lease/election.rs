//! Requests, one after the other.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::candidate::Candidate;
use super::{Leadership, Options};
use crate::request::{ObjectError, read, write};

/// How long an answer is waited for by who does not lead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stands for election until it is told to stop.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    candidate: Candidate,
    until: watch::Sender<Option<Instant>>,
}

impl Election {
    pub fn new(client: &Client, options: &Options) -> Self {
        let identity = format!("{}_{:016x}", options.identity, rand::random::<u64>());
        Self {
            leases: Api::namespaced(client.clone(), &options.namespace),
            name: options.name.clone(),
            candidate: Candidate::new(identity, options.duration),
            until: watch::Sender::new(None),
        }
    }

    pub fn leadership(&self) -> Leadership {
        Leadership { until: self.until.subscribe() }
    }

    /// Stands for election until `shutdown` turns true; then a leader releases the Lease. If this
    /// is dropped instead, the others wait for the Lease to end.
    ///
    /// `wall_ms` tells milliseconds since 1970; it is written into the Lease for people to read.
    pub async fn run(mut self, wall_ms: impl Fn() -> u64, mut shutdown: watch::Receiver<bool>) {
        let period = self.candidate.period();
        let mut failing = false;
        loop {
            let begun = Instant::now();
            // A leader that gets no answer must not wait for it longer than it may lead.
            let deadline = self.candidate.leads_until().unwrap_or(begun + PATIENCE);
            let asked = tokio::select! {
                _ = shutdown.wait_for(|asked| *asked) => break,
                asked = timeout_at(deadline, self.ask(&wall_ms)) => asked,
            };
            self.publish();
            tell(&mut failing, asked);
            let again = begun + period.mul_f64(rand::random_range(1.0..1.2));
            let wake = self.candidate.leads_until().map_or(again, |until| until.min(again));
            tokio::select! {
                _ = shutdown.wait_for(|asked| *asked) => break,
                () = sleep_until(wake) => self.publish(),
            }
        }
        self.release(&wall_ms).await;
    }

    /// Reads the Lease, and takes or renews it if that is the candidate's to do.
    async fn ask(&mut self, wall_ms: &impl Fn() -> u64) -> Result<(), ObjectError> {
        let found = read(&self.leases, &self.name).await?;
        let begun = Instant::now();
        let is_new = found.is_none();
        let mut lease = found.unwrap_or_else(|| self.new_lease());
        let spec = lease.spec.take().unwrap_or_default();
        let Some(held) = self.candidate.sees(&spec, begun, time_of(wall_ms())) else {
            return Ok(());
        };
        lease.spec = Some(held);
        match write(&self.leases, &self.name, &lease, is_new).await {
            Ok(()) => self.candidate.wrote(begun),
            // Another one was faster; who that is will be seen next time.
            Err(error) if error.is_race() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Stops leading at once, then tells the API server if it answers.
    async fn release(&mut self, wall_ms: &impl Fn() -> u64) {
        let led = self.candidate.leads_until().is_some();
        self.until.send_replace(None);
        if !led {
            return;
        }
        match timeout(PATIENCE, self.try_release(wall_ms)).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "does not lead any more"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "not released"),
            Err(_) => tracing::warn!(lease = self.name, "not released: no answer"),
        }
    }

    async fn try_release(&mut self, wall_ms: &impl Fn() -> u64) -> Result<(), ObjectError> {
        loop {
            let Some(mut lease) = read(&self.leases, &self.name).await? else { return Ok(()) };
            let spec = lease.spec.take().unwrap_or_default();
            let Some(free) = self.candidate.releases(&spec, time_of(wall_ms())) else {
                return Ok(());
            };
            lease.spec = Some(free);
            match write(&self.leases, &self.name, &lease, false).await {
                // A renewal that was broken off has arrived in between.
                Err(error) if error.is_race() => {}
                written => return written,
            }
        }
    }

    /// Tells those who follow. They are only woken when it begins or ends.
    fn publish(&mut self) {
        self.candidate.at(Instant::now());
        let now = self.candidate.leads_until();
        let changed = self.until.send_if_modified(|until| {
            let changed = until.is_some() != now.is_some();
            *until = now;
            changed
        });
        if changed {
            tracing::info!(lease = self.name, leads = now.is_some(), "leadership has changed");
        }
    }

    fn new_lease(&self) -> Lease {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        Lease { metadata, spec: None }
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election").field("candidate", &self.candidate).finish_non_exhaustive()
    }
}

/// Logs when requests begin to fail, and when they succeed again.
fn tell(failing: &mut bool, asked: Result<Result<(), ObjectError>, Elapsed>) {
    let error = match asked {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer".to_owned()),
    };
    match &error {
        Some(error) if !*failing => tracing::warn!(error, "the Lease cannot be asked for"),
        None if *failing => tracing::info!("the Lease can be asked for again"),
        _ => {}
    }
    *failing = error.is_some();
}

fn time_of(wall_ms: u64) -> MicroTime {
    let wall_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    MicroTime(Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::MAX))
}
