use super::*;
use crate::conntrack::{DumpProgress, Events, SourceTally, Visit};
use crate::observe::dumps::PATIENT_TURNS;

/// Calls that would have no end are a failure.
const CALLS: u32 = 10_000;

/// Has more events each time it is asked, as long as that is wanted.
#[derive(Debug)]
struct Flooded {
    inner: Recorded,
    goes_on: bool,
    calls: u32,
}

impl ConnectionSource for Flooded {
    fn wait(&mut self, timeout: Duration) -> Result<(), SourceError> {
        self.inner.wait(timeout)
    }

    fn events(&mut self, visit: &mut Visit<'_>) -> Result<Events, SourceError> {
        self.calls += 1;
        assert!(self.calls < CALLS, "they have no end");
        let events = self.inner.events(visit)?;
        if self.goes_on {
            visit(&Entry { id: 1000 + self.calls, ..entry(Kind::New) });
        }
        Ok(Events { drained: !self.goes_on, ..events })
    }

    fn dumps_apart(&self) -> bool {
        self.inner.dumps_apart()
    }

    fn start_dump(&mut self, zones: &[u16]) -> Result<(), SourceError> {
        self.inner.start_dump(zones)
    }

    fn next_chunk(&mut self, visit: &mut Visit<'_>) -> Result<DumpProgress, SourceError> {
        self.inner.next_chunk(visit)
    }

    fn look_up(
        &mut self,
        zone: u16,
        original: &Tuple,
        visit: &mut Visit<'_>,
    ) -> Result<bool, SourceError> {
        self.inner.look_up(zone, original, visit)
    }

    fn health(&self) -> Option<crate::conntrack::Health> {
        None
    }

    fn tally(&self) -> SourceTally {
        self.inner.tally()
    }
}

#[test]
fn events_without_an_end_keep_neither_records_nor_dumps_waiting() {
    let (player, inner) = Recorded::new();
    let source = Flooded { inner, goes_on: false, calls: 0 };
    let meter = Meter::new(Limits { connections: 200_000 });
    let enricher = Enricher::new(Arc::new(Cluster::from_yaml(CLUSTER).unwrap()), "a");
    let zones = Zones::plain(&[0]);
    let observer = Observer::new(source, meter, enricher, zones, INTERVAL, Arc::default());
    let mut destination = Destination::new(0, 1000);
    let told = watch::channel(orders(&[destination.target.clone()], INTERVAL)).1;
    let mut observer = observer.obeying(told, 0);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    observer.observe(0).unwrap();
    assert_eq!((observer.rounds(), observer.meter.stats().live), (1, 1));

    // Gone, and its end is not heard of as long as there are so many others.
    player.play(Step::Table(Vec::new()));
    observer.source.goes_on = true;
    let mut now = nanoseconds(INTERVAL);
    for _ in 0..=PATIENT_TURNS {
        assert_eq!(observer.metrics.source.dumps_overtaken.get(), 0);
        now += 1;
        observer.observe(now).unwrap();
        observer.turn(now);
    }
    assert_eq!(observer.metrics.source.dumps_overtaken.get(), 1);
    assert!(observer.is_quiet() && observer.meter.stats().vanished == 0);
    assert_eq!(destination.take().len(), 1, "what was due has not waited");

    // The next dump is not kept waiting, and is believed once there is an end.
    now += nanoseconds(INTERVAL);
    observer.observe(now).unwrap();
    assert_eq!((observer.source.tally().dumps, observer.is_quiet()), (3, false));
    observer.source.goes_on = false;
    observer.observe(now).unwrap();
    assert!(observer.is_quiet() && observer.meter.stats().vanished > 0);
    assert_eq!(observer.metrics.source.dumps_overtaken.get(), 1);
}
