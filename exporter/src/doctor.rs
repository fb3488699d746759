//! What keeps flows of this Node from arriving, looked for step by step.
//!
//! Each step looks at one thing that an exporter needs, in the order in which it needs them, and
//! says what it found and what to do. After the first failure the others are still taken, as far
//! as they can be, but what they find may come of it.
//!
//! It works beside a running exporter: it takes no packets, binds no queue, log group or port,
//! changes no setting, and leaves with every collector nothing but an empty session.
mod report; // what was found
mod configuration; // is it good, and are its files there?
mod kernel; // does the kernel tell enough?
mod table; // what is in its table?
mod denials; // who tells of denied packets?
mod naming; // who knows names?
mod resources; // what do custom resources ask for?
mod reach; // can collectors be reached?
mod certificate; // and whom do they and we say to be?
mod running; // what does a running exporter say?

use std::path::Path;
use std::sync::Arc;

use daemon::Chain;
use k8s::client::{self, Connection};

use crate::args::Given;
use crate::destinations::{Counters, Way};
use crate::settings::Settings;
pub use report::{Finding, Report, Step, Verdict};

/// Nanoseconds since 1970.
pub(crate) type Clock = fn() -> u64;

/// Takes every step. Needs a runtime around it, and may block its thread for a while.
pub async fn examine(given: &Given, clock: Clock) -> Report {
    let loaded = given.load();
    let configuration = configuration::look_at(&loaded);
    let mut steps = vec![configuration];
    let Some(settings) = &loaded.settings else {
        steps.extend([kernel::sysctls(), kernel::permissions(), table::fill()]);
        for step in ["gate", "zones", "denied", "names", "resources", "destinations", "running"] {
            steps.push(Step::new(step).skip("it is unknown what is configured"));
        }
        return Report { steps };
    };
    steps.push(configuration::gate(settings));
    steps.push(kernel::sysctls());
    steps.push(kernel::permissions());
    steps.push(table::zones(&settings.zones.value));
    steps.push(table::fill());
    steps.push(denials::look_at(&settings.denial, settings.gate.value, Path::new("/proc")));
    let api_server = api_server(settings).await;
    let connection = api_server.as_ref().ok().cloned().flatten();
    steps.push(naming::look_at(settings, api_server, clock).await);
    let found = Arc::<Counters>::default();
    let (step, mut specs) =
        resources::look_at(settings, connection.clone(), Arc::clone(&found), clock).await;
    steps.push(step);
    // Where names are alike the configuration wins.
    let configured = settings.specs();
    specs.retain(|spec| configured.iter().all(|it| it.name != spec.name));
    let specs: Vec<_> = configured.into_iter().chain(specs).collect();
    let way = Way::new(connection, found);
    steps.push(reach::look_at(&specs, &way, clock).await);
    steps.push(running::look_at(settings.admin.value).await);
    Report { steps }
}

/// `Ok(None)` if there is none to be asked.
async fn api_server(settings: &Settings) -> Result<Option<Arc<Connection>>, String> {
    let Some(source) = settings.api_server(client::in_cluster()) else { return Ok(None) };
    let opened = Connection::open(source).await;
    opened.map(|it| Some(Arc::new(it))).map_err(|error| Chain(&error).to_string())
}
