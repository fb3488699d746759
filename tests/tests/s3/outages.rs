//! What is in the way of objects.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flow::S3Columns;
use sinks::s3::{Naming, Options, S3Counters};
use sinks::{DeliverOptions, DeliveryCounters, Failure, Inlet, Queue, S3Sink, Sink, deliver};
use store::Mark;
use tests::s3::proxy::{Mode, Proxy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{NOW_MS, batch, csv, moto, numbers, options};

const PATIENCE: Duration = Duration::from_mins(1);

/// A sink that is delivered to, and tries again soon.
struct Delivering {
    inlet: Inlet,
    counters: Arc<S3Counters>,
    delivered: Arc<DeliveryCounters>,
    task: JoinHandle<Option<Queue>>,
    sent: u64,
    _stop: watch::Sender<bool>,
}

impl Delivering {
    fn start(settings: Options) -> Self {
        let sink = S3Sink::new(settings);
        let counters = sink.counters();
        let delivered = Arc::<DeliveryCounters>::default();
        let (inlet, queue) = Queue::new("s3", 100_000, Arc::clone(&delivered));
        let (stop, stopped) = watch::channel(false);
        let options = DeliverOptions {
            first_retry: Duration::from_millis(10),
            last_retry: Duration::from_millis(200),
            tick: Duration::from_millis(20),
            close_within: PATIENCE,
            ..DeliverOptions::default()
        };
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_millis()).expect("not so far")
        };
        let task = tokio::spawn(deliver(sink, queue, options, stopped, clock));
        Self { inlet, counters, delivered, task, sent: 0, _stop: stop }
    }

    fn send(&mut self, records: u64) {
        self.inlet.send(&batch(self.sent..self.sent + records));
        self.sent += records;
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let looked = timeout(PATIENCE, async {
            while !is_so() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(looked.await.is_ok(), "{what}: {:?} {:?}", self.counters, self.delivered);
    }

    async fn until_failed(&self, failure: Failure) {
        let before = self.counters.failures(failure);
        let name = format!("{failure:?}");
        // Once more than it may have failed already for what was before.
        self.until(&name, || self.counters.failures(failure) > before + 1).await;
    }

    async fn until_delivered(&self) {
        let delivered = || self.delivered.delivered.load(Ordering::Relaxed);
        self.until("delivered", || delivered() == self.sent).await;
    }

    async fn end(self) {
        drop(self.inlet);
        assert!(timeout(PATIENCE, self.task).await.expect("it ends").is_ok());
    }
}

#[tokio::test]
async fn whatever_is_in_the_way_costs_time_and_no_record() {
    let judge = moto().judge();
    let mut proxy = Proxy::to(moto().port()).await;
    let settings = options(&proxy.endpoint(), "outages");
    let (interval, timeout) = (Duration::ZERO, Duration::from_secs(2));
    let mut delivering = Delivering::start(Options { interval, timeout, ..settings });

    delivering.send(500);
    delivering.until_failed(Failure::NoBucket).await;
    judge.make("outages");
    delivering.until_delivered().await;

    for (status, code, failure) in [
        (503, "SlowDown", Failure::SlowDown),
        (403, "AccessDenied", Failure::Denied),
        (403, "InvalidAccessKeyId", Failure::UnknownKey),
        (403, "SignatureDoesNotMatch", Failure::Signature),
        (400, "ExpiredToken", Failure::Expired),
        (403, "RequestTimeTooSkewed", Failure::Clock),
        (500, "InternalError", Failure::Other),
    ] {
        proxy.set(Mode::Answer { status, code });
        delivering.send(500);
        delivering.until_failed(failure).await;
        proxy.set(Mode::Pass);
        delivering.until_delivered().await;
    }

    proxy.set(Mode::Silent);
    delivering.send(500);
    delivering.until_failed(Failure::Timeout).await;
    proxy.set(Mode::Pass);
    delivering.until_delivered().await;

    let address = proxy.gone().await;
    delivering.send(500);
    delivering.until_failed(Failure::Unreachable).await;
    proxy = Proxy::again(address, moto().port()).await;
    delivering.until_delivered().await;

    proxy.set(Mode::Region("eu-south-1"));
    delivering.send(500);
    delivering.until_delivered().await;
    assert_eq!(delivering.counters.failures(Failure::WrongRegion), 1, "it goes where it is told");

    let (sent, counters) = (delivering.sent, Arc::clone(&delivering.delivered));
    delivering.end().await;
    assert_eq!(counters.lost(), 0);
    assert_eq!(numbers(&judge.objects("outages")), (0..sent).collect::<HashSet<_>>());
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let proxy = Proxy::to(moto().port()).await;
    for (status, code, advice) in [
        (404, "NoSuchBucket", "make it, or correct bucketName"),
        (403, "AccessDenied", "allow s3:PutObject"),
        (403, "SignatureDoesNotMatch", "correct AWS_SECRET_ACCESS_KEY"),
        (503, "SlowDown", "fewer requests"),
    ] {
        proxy.set(Mode::Answer { status, code });
        let mut sink = S3Sink::new(options(&proxy.endpoint(), "said"));
        sink.write(&batch(0..1), NOW_MS).await.expect("there is room");
        let error = sink.flush().await.expect_err("it is refused");
        let mut said = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            said = format!("{said}: {error}");
            source = error.source();
        }
        assert!(said.contains(advice) && said.contains(code), "{said}");
        assert!(!said.contains("test-secret"), "{said}");
    }
    // Whoever says yes to everything has stored nothing.
    proxy.set(Mode::Answer { status: 200, code: "OK" });
    let mut sink = S3Sink::new(options(&proxy.endpoint(), "said"));
    sink.write(&batch(0..1), NOW_MS).await.expect("there is room");
    sink.flush().await.expect_err("it has no entity tag");
    assert_eq!(sink.stored().records, 0);
}

#[tokio::test]
async fn an_object_that_is_cut_off_is_completed_from_where_it_was() {
    const RECORDS: u64 = 120_000;
    let judge = moto().judge();
    judge.make("parts");
    let proxy = Proxy::to(moto().port()).await;
    let settings = options(&proxy.endpoint(), "parts");
    let mut sink = S3Sink::new(Options { format: csv(S3Columns::V2_7, false), ..settings });
    for begin in (0..RECORDS).step_by(1000) {
        sink.write(&batch(begin..begin + 1000), NOW_MS).await.expect("there is room");
    }
    // In the second of three parts of 8 MiB.
    proxy.set(Mode::Cut { after: 12 << 20 });
    sink.flush().await.expect_err("it was cut off");
    let counters = sink.counters();
    let parts = || counters.parts.load(Ordering::Relaxed);
    assert_eq!(parts(), 1);
    sink.flush().await.expect("it gets through");
    let bytes = counters.bytes.load(Ordering::Relaxed);
    assert_eq!(parts(), bytes.div_ceil(8 << 20), "no part was sent again");
    assert!(parts() > 2, "{bytes}");
    let length: usize = judge.texts("parts").values().map(String::len).sum();
    assert_eq!(length as u64, bytes);
    assert_eq!(numbers(&judge.objects("parts")), (0..RECORDS).collect::<HashSet<_>>());
    assert_eq!(judge.unfinished("parts"), 0);

    // What nobody is going to complete is thrown away.
    for begin in (0..RECORDS).step_by(1000) {
        sink.write(&batch(begin..begin + 1000), NOW_MS).await.expect("there is room");
    }
    proxy.set(Mode::Cut { after: 12 << 20 });
    sink.flush().await.expect_err("it was cut off");
    assert_eq!(judge.unfinished("parts"), 1);
    sink.end().await;
    assert_eq!(judge.unfinished("parts"), 0);
}

/// Gives a sink the records of a log with these numbers, as `deliver` does.
async fn give(sink: &mut S3Sink, numbers: std::ops::Range<u64>, now_ms: u64) {
    sink.approach(Mark { log: 0xfeed, record: numbers.end });
    sink.write(&batch(numbers), now_ms).await.expect("there is room");
    sink.flush().await.expect("it is stored");
}

#[tokio::test]
async fn what_is_stored_again_after_a_kill_replaces_what_there_was() {
    const LATER_MS: u64 = NOW_MS + 2 * 3_600_000;
    let judge = moto().judge();
    judge.make("again");
    let spool = tempfile::tempdir().expect("a folder");
    let settings = || Options {
        naming: Naming::Hive,
        journal: Some(spool.path().to_owned()),
        ..options(&moto().endpoint(), "again")
    };
    let mut sink = S3Sink::new(settings());
    assert_eq!(sink.resumes_at(), None);
    give(&mut sink, 0..100, NOW_MS).await;
    give(&mut sink, 100..150, NOW_MS).await;
    // Killed now, before anybody noted that it was acknowledged, and started in another hour.
    drop(sink);
    let before: HashSet<_> = judge.objects("again").into_iter().map(|it| it.key).collect();
    let mut sink = S3Sink::new(settings());
    assert_eq!(sink.resumes_at(), Some(Mark { log: 0xfeed, record: 100 }));
    give(&mut sink, 100..130, LATER_MS).await;
    let after: HashSet<_> = judge.objects("again").into_iter().map(|it| it.key).collect();
    assert_eq!(after, before, "it has its own place");
    give(&mut sink, 130..160, LATER_MS).await;
    let objects = judge.objects("again");
    assert_eq!(numbers(&objects), (0..160).collect::<HashSet<_>>());
    let in_hour = |hour: &str| objects.iter().filter(|it| it.key.contains(hour)).count();
    assert_eq!((in_hour("/hour=22/"), in_hour("/hour=00/")), (2, 1));

    // In another log the same numbers are other records.
    let mut other = S3Sink::new(Options { journal: None, ..settings() });
    other.approach(Mark { log: 0xbeef, record: 1100 });
    other.write(&batch(1000..1100), NOW_MS).await.expect("there is room");
    other.flush().await.expect("it is stored");
    assert_eq!(numbers(&judge.objects("again")).len(), 260);
}
