use std::fs;
use std::path::PathBuf;

use clap::Parser;
use tempfile::TempDir;
use tokio::time::timeout;

use daemon::configuration::hangup;

use super::*;
use crate::destination::Transport;
use crate::filter::ProtocolFilter;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Given,
}

const S: Duration = Duration::from_secs(1);
const FIRST: &str = "node: a\nclusterFile: c\nflowCollectorAddr: 192.0.2.1:1:tcp\n";

/// A running exporter's configuration, and the stages' view of it.
struct Running {
    folder: TempDir,
    reload: Reload,
    orders: watch::Receiver<Orders>,
    configured: watch::Receiver<Arc<[Spec]>>,
}

impl Running {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        fs::write(&path, FIRST).unwrap();
        let args = Line::parse_from(["x", "--config", path.to_str().unwrap()]).args;
        let loaded = args.load();
        let settings = loaded.settings.unwrap();
        let live = Live::new(&settings).unwrap();
        let (orders, configured) = (live.orders.subscribe(), live.configured.subscribe());
        let (hangup, metrics) = (hangup().unwrap(), Arc::default());
        let reload = Reload::new(args, loaded.texts, settings, Some(live), hangup, metrics);
        Self { folder, reload, orders, configured }
    }

    fn changes_to(&mut self, text: &str) -> (u64, u64) {
        fs::write(file(&self.folder), text).unwrap();
        let loaded = self.reload.args.load();
        assert!(loaded.texts != self.reload.texts);
        self.reload.change(loaded);
        (self.reload.metrics.reloads.get(), self.reload.metrics.reloads_refused.get())
    }

    /// Whether the stages have heard of something new.
    fn heard(&mut self) -> (bool, bool) {
        let heard = (self.orders.has_changed().unwrap(), self.configured.has_changed().unwrap());
        self.orders.mark_unchanged();
        self.configured.mark_unchanged();
        heard
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("flow-exporter.conf")
}

#[tokio::test]
async fn what_changes_reaches_the_stages() {
    let mut running = Running::new();
    let times = "flowPollInterval: 2s\nactiveFlowExportTimeout: 3s\nprotocolFilter: [tcp]\n";
    assert_eq!(running.changes_to(&format!("{FIRST}{times}")), (1, 0));
    assert_eq!(running.heard(), (true, true));
    assert_eq!(running.orders.borrow().poll_interval, 2 * S);
    let spec = running.configured.borrow()[0].clone();
    assert_eq!((spec.timeouts.active, spec.timeouts.idle), (3 * S, 15 * S));
    assert_eq!(spec.filter.protocols, ProtocolFilter::only(&[6]));
    let moved = FIRST.replace("192.0.2.1:1:tcp", "192.0.2.2:2:udp");
    assert_eq!(running.changes_to(&format!("{moved}{times}")), (2, 0));
    assert_eq!(running.heard(), (false, true));
    let spec = running.configured.borrow()[0].clone();
    assert_eq!((spec.target().as_str(), spec.transport), ("192.0.2.2:2", Transport::Udp));
    let more = "destinations: [{name: more, address: '192.0.2.3:3:tcp'}]\n";
    assert_eq!(running.changes_to(&format!("{moved}{times}{more}")), (3, 0));
    assert_eq!(running.heard(), (false, true));
    let names: Vec<_> = running.configured.borrow().iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, ["static", "more"]);
    assert_eq!(running.changes_to(&format!("{moved}{times}")), (4, 0));
    assert_eq!(running.heard(), (false, true));
    let by_labels = |selector: &str| {
        let name = "destinations: [{name: more, address: '192.0.2.3:3:tcp', filter: ";
        format!("{moved}{times}{name}{{podLabels: '{selector}'}}}}]\n")
    };
    for (reloads, selector) in [(5, "app=web"), (6, "app=db")] {
        assert_eq!(running.changes_to(&by_labels(selector)), (reloads, 0));
        assert_eq!(running.heard(), (false, true));
        let asked = running.configured.borrow()[1].filter.pod_labels.clone();
        assert_eq!(asked.map(|it| it.to_string()).as_deref(), Some(selector));
    }
    assert_eq!(running.changes_to(&by_labels("app is db")), (6, 1));
    assert_eq!(running.heard(), (false, false));
    assert_eq!(running.changes_to(&format!("{moved}{times}")), (7, 1));
    assert_eq!(running.heard(), (false, true));
    assert_eq!(running.changes_to(&format!("# only a comment\n{moved}{times}")), (8, 1));
    assert_eq!(running.heard(), (false, false));
}

#[tokio::test]
async fn a_bad_file_changes_nothing() {
    let mut running = Running::new();
    for (refused, bad) in (1..).zip([
        format!("{FIRST}flowPollInterval: 2s\nunknown: 1\n"),
        format!("{FIRST}flowPollInterval: ["),
        String::new(),
        // Good in itself, but the files of TLS are not there.
        FIRST.replace(":tcp", ":tls") + "tls: {caFile: /nowhere}\nflowPollInterval: 2s\n",
    ]) {
        assert_eq!(running.changes_to(&bad), (0, refused), "{bad}");
        assert_eq!(running.heard(), (false, false));
    }
    fs::remove_file(file(&running.folder)).unwrap();
    running.reload.change(running.reload.args.load());
    assert_eq!(running.reload.metrics.reloads_refused.get(), 5);
    assert_eq!(running.changes_to(&format!("{FIRST}flowPollInterval: 3s\n")), (1, 5));
    assert_eq!(running.orders.borrow().poll_interval, 3 * S);
}

#[tokio::test]
async fn tls_files_that_come_later_than_the_configuration_are_found() {
    let mut running = Running::new();
    let ca = running.folder.path().join("ca.crt");
    let tls = format!("tls: {{caFile: '{}'}}\n", ca.display());
    assert_eq!(running.changes_to(&(FIRST.replace(":tcp", ":tls") + &tls)), (0, 1));
    assert_eq!(running.heard(), (false, false));
    let authority = rcgen::generate_simple_self_signed(vec!["ca".into()]).unwrap();
    fs::write(&ca, authority.cert.pem()).unwrap();
    for _ in 0..2 {
        let loaded = running.reload.args.load();
        running.reload.follow(loaded, false);
        let metrics = &running.reload.metrics;
        assert_eq!((metrics.reloads.get(), metrics.reloads_refused.get()), (1, 1));
    }
    assert_eq!(running.heard(), (false, true));
}

#[tokio::test]
async fn what_cannot_change_is_named() {
    let mut running = Running::new();
    let mut new = running.reload.running.clone();
    new.node.value = "b".into();
    new.zones.value = vec![crate::zones::Part::Zone(1)];
    new.poll_interval.value = 9 * S;
    assert_eq!(running.reload.running.take_over(new.clone()), ["node", "zones"]);
    // It is so until the exporter is started anew.
    assert_eq!(running.reload.running.take_over(new), ["node", "zones"]);
    assert_eq!(running.reload.running.poll_interval.value, 9 * S);
}

#[tokio::test]
async fn sighup_and_a_changed_file_are_noticed() {
    let mut running = Running::new();
    let metrics = Arc::clone(&running.reload.metrics);
    let path = file(&running.folder);
    let following = tokio::spawn(running.reload.run());
    let this = std::process::id().to_string();
    fs::write(&path, format!("{FIRST}flowPollInterval: 4s\n")).unwrap();
    let changed = running.orders.wait_for(|orders| orders.poll_interval == 4 * S);
    assert!(timeout(10 * S, changed).await.is_ok_and(|it| it.is_ok()), "the file is looked at");
    let before = metrics.reloads.get();
    assert!(std::process::Command::new("kill").args(["-HUP", &this]).status().unwrap().success());
    let reloaded = async {
        while metrics.reloads.get() == before {
            tokio::task::yield_now().await;
        }
    };
    timeout(10 * S, reloaded).await.expect("the signal is heard");
    following.abort();
}
