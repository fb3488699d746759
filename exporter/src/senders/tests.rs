use std::io::{Read, Seek};

use config::address;
use flow::{FlowRecord, Profile};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::destination::{self, Compatibility, Filter, Redaction, TlsSpec, TlsVersion, Transport};
use crate::destination::{Authorities, ObjectName};

const LATE: Duration = Duration::from_secs(5);

fn spec(name: &str, address: &str) -> Spec {
    let second = Duration::from_secs(1);
    Spec {
        name: name.into(),
        address: address::parse(address).unwrap(),
        transport: Transport::Tcp,
        filter: Filter::default(),
        profile: Profile::Fyke,
        compatibility: Compatibility::Ipfix,
        timeouts: destination::Timeouts { active: second, idle: second },
        redaction: Redaction::default(),
        template_refresh: second,
    }
}

type Wish = watch::Sender<Arc<[Spec]>>;

fn senders(configured: &[Spec], custom: &[Spec]) -> (Wish, Wish, Senders) {
    let (configured, first) = watch::channel(configured.into());
    let (custom, second) = watch::channel(custom.into());
    let wanted = Wanted { configured: first, custom: second };
    (
        configured,
        custom,
        Senders::new(wanted, Way::new(None, Arc::default()), 1, None, Arc::default()),
    )
}

fn three() -> Batch {
    std::iter::repeat_n(Arc::new(FlowRecord::default()), 3).collect()
}

fn names(targets: &[Target]) -> Vec<(&str, u64)> {
    targets.iter().map(|it| (it.name.as_str(), it.number)).collect()
}

#[tokio::test]
async fn a_configured_destination_wins_over_a_custom_one_of_its_name() {
    let custom = [spec("same", "x:2"), spec("crd/other", "x:3")];
    let (_configured, _custom, mut senders) = senders(&[spec("same", "x:1")], &custom);
    assert_eq!(names(&senders.follow()), [("same", 0), ("crd/other", 1)]);
    assert_eq!(senders.running[0].spec.address.port, 1);
}

#[tokio::test]
async fn who_changes_keeps_its_place_and_who_comes_back_does_not() {
    let (configured, _custom, mut senders) = senders(&[spec("a", "x:1"), spec("b", "x:2")], &[]);
    assert_eq!(names(&senders.follow()), [("a", 0), ("b", 1)]);
    let mut changed = spec("b", "y:9");
    changed.filter.ports = vec![7];
    configured.send_replace([changed].into());
    let targets = senders.follow();
    assert_eq!(names(&targets), [("b", 1)]);
    assert_eq!(targets[0].filter.ports, [7]);
    assert_eq!(senders.running[0].route.borrow().to.address, "y:9");
    configured.send_replace([spec("a", "x:1"), spec("b", "y:9")].into());
    assert_eq!(names(&senders.follow()), [("b", 1), ("a", 2)]);
}

#[tokio::test]
async fn what_cannot_be_used_is_counted_and_keeps_nobody_else_from_running() {
    let tls = TlsSpec {
        server_name: None,
        min_version: TlsVersion::Tls12,
        ca: Authorities::ConfigMap(ObjectName { namespace: "n".into(), name: "c".into() }),
        identity: None,
    };
    let bad = Spec { transport: Transport::Grpc(tls), ..spec("bad", "x:1") };
    let many: Vec<_> = (0..MAX_DESTINATIONS).map(|it| spec(&format!("d{it}"), "x:1")).collect();
    let (_configured, _custom, mut senders) = senders(&[bad], &many);
    assert_eq!(senders.follow().len(), MAX_DESTINATIONS);
    assert_eq!(senders.metrics.destinations_refused.get(), 1);
    let (_configured, _custom, mut senders) = self::senders(&[spec("more", "x:1")], &many);
    assert_eq!(senders.follow().len(), MAX_DESTINATIONS);
    assert_eq!(senders.metrics.destinations_refused.get(), 1);
}

#[tokio::test]
async fn a_configured_destination_takes_the_place_of_a_custom_one() {
    let many: Vec<_> =
        (0..MAX_DESTINATIONS).map(|it| spec(&format!("crd/{it:02}"), "x:1")).collect();
    let (configured, custom, mut senders) = senders(&[], &many);
    assert_eq!(senders.follow().len(), MAX_DESTINATIONS);
    configured.send_replace([spec("mine", "x:1")].into());
    let running = senders.follow();
    assert_eq!(running.len(), MAX_DESTINATIONS);
    assert!(running.iter().any(|it| it.name == "mine"));
    let last = many.last().unwrap();
    assert!(running.iter().all(|it| it.name != last.name));
    assert_eq!(senders.metrics.destinations_refused.get(), 1);
    custom.send_replace(many[1..].into());
    assert_eq!(senders.follow().len(), MAX_DESTINATIONS);
    assert_eq!(senders.metrics.destinations_refused.get(), 0);
}

#[tokio::test]
async fn one_that_is_removed_still_gets_what_it_was_handed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (configured, _custom, mut senders) = senders(&[spec("a", &address)], &[]);
    let metrics = Arc::clone(&senders.metrics);
    let queue = senders.follow()[0].queue.upgrade().unwrap();
    queue.send(three()).await.unwrap();
    // As an observer does when it hears of it.
    drop(queue);
    let (switch, stop) = Stop::new();
    let (told, mut heard) = mpsc::channel(1);
    let running =
        tokio::spawn(senders.run(stop, move |targets| told.try_send(targets.len()).unwrap()));
    configured.send_replace([].into());
    assert_eq!(timeout(LATE, heard.recv()).await.unwrap(), Some(0));
    let (mut stream, _) = timeout(LATE, listener.accept()).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    timeout(LATE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes.len() > 600, "templates and records: {}", bytes.len());
    switch.stop_by(Instant::now() + LATE);
    timeout(LATE, running).await.unwrap().unwrap().unwrap();
    assert_eq!(metrics.left_behind(), 0);
}

#[tokio::test]
async fn what_no_destination_takes_in_time_is_left_behind_and_counted() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let both = [spec("a", &gone.to_string()), spec("b", &gone.to_string())];
    let (_configured, _custom, mut senders) = senders(&both, &[]);
    let metrics = Arc::clone(&senders.metrics);
    for target in senders.follow().iter() {
        let queue = target.queue.upgrade().unwrap();
        queue.send(three()).await.unwrap();
    }
    let (switch, stop) = Stop::new();
    switch.stop_by(Instant::now() + Duration::from_millis(300));
    timeout(LATE, senders.run(stop, |_| {})).await.unwrap().unwrap();
    assert_eq!(metrics.left_behind(), 6);
    assert_eq!(metrics.destination("b").records_abandoned.get(), 3);
}

/// Has `static` take three records, to their end, and go. Returns what came of them.
async fn come_and_go(configured: &Wish, senders: &mut Senders, listener: &TcpListener) -> Vec<u8> {
    let address = listener.local_addr().unwrap().to_string();
    configured.send_replace([spec(STATIC, &address)].into());
    let queue = senders.follow()[0].queue.upgrade().unwrap();
    queue.send(three()).await.unwrap();
    drop(queue);
    configured.send_replace([].into());
    assert_eq!(senders.follow().len(), 0);
    let (mut stream, _) = timeout(LATE, listener.accept()).await.unwrap().unwrap();
    let mut sent = Vec::new();
    timeout(LATE, stream.read_to_end(&mut sent)).await.unwrap().unwrap();
    let ended = timeout(LATE, senders.tasks.join_next()).await.unwrap().unwrap();
    senders.has_ended(ended.unwrap());
    sent
}

#[tokio::test]
async fn a_static_destination_that_comes_back_is_copied_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (configured, _custom, mut senders) = senders(&[], &[]);
    let mut copy = tempfile::tempfile().unwrap();
    senders.copy = Some(Arc::new(copy.try_clone().unwrap()));
    let mut sent = come_and_go(&configured, &mut senders, &listener).await;
    sent.extend(come_and_go(&configured, &mut senders, &listener).await);
    let mut copied = Vec::new();
    copy.rewind().unwrap();
    copy.read_to_end(&mut copied).unwrap();
    assert!(!sent.is_empty() && copied == sent, "{} of {} bytes", copied.len(), sent.len());
}
