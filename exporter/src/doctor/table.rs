//! What is in the kernel's table: whether the zones that are recorded are the right ones.

use std::collections::BTreeMap;

use daemon::Chain;

use super::Step;
use crate::conntrack::{
    ConnectionSource, CtMark, DumpProgress, NetlinkOptions, NetlinkSource, SourceError, TableFill,
};
use crate::zones::{ANTREA, HOST, Part, Zones};

/// What one zone holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Contents {
    connections: u64,
    /// Without counters, since accounting was off when they began.
    uncounted: u64,
    /// With what Antrea writes on those that its policies have let pass.
    allowed: u64,
    labelled: u64,
}

pub(super) fn fill() -> Step {
    let step = Step::new("table");
    match TableFill::read() {
        Ok(fill) if fill.is_nearly_full() => step.warn(
            format!("{} of {} connections: nearly full", fill.count, fill.max),
            "raise net.netfilter.nf_conntrack_max; a full table makes the Node refuse connections",
        ),
        Ok(fill) => step.ok(format!("{} of {} connections", fill.count, fill.max)),
        Err(error) => step.fail(
            format!("its size cannot be read: {error}"),
            "load the kernel's module nf_conntrack",
        ),
    }
}

/// Reads each zone once, as an exporter does every few seconds, and those that it might be meant
/// to read.
pub(super) fn zones(parts: &[Part]) -> Step {
    let step = Step::new("zones");
    let zones = Zones::of(parts);
    let mut all = zones.read();
    for zone in [HOST].into_iter().chain(ANTREA) {
        if !all.contains(&zone) {
            all.push(zone);
        }
    }
    let options = NetlinkOptions { zones: all.clone(), events: false, ..NetlinkOptions::default() };
    let read = NetlinkSource::open(options).and_then(|mut source| contents(&mut source, &all));
    match read {
        Ok(found) => weigh(step, &zones, &found),
        Err(error) => step.fail(Chain(&error).to_string(), "see the step permissions"),
    }
}

fn contents(
    source: &mut impl ConnectionSource,
    zones: &[u16],
) -> Result<BTreeMap<u16, Contents>, SourceError> {
    let mut found = BTreeMap::new();
    for &zone in zones {
        let mut contents = Contents::default();
        source.start_dump(&[zone])?;
        loop {
            let progress = source.next_chunk(&mut |entry| {
                contents.connections += 1;
                contents.uncounted += u64::from(entry.counters.is_none());
                contents.allowed += u64::from(CtMark(entry.mark).is_allowed());
                contents.labelled += u64::from(entry.labels.is_some_and(|it| it != [0; 16]));
            })?;
            if progress != DumpProgress::More {
                break;
            }
        }
        found.insert(zone, contents);
    }
    Ok(found)
}

fn weigh(step: Step, zones: &Zones, found: &BTreeMap<u16, Contents>) -> Step {
    let of = |zone: &u16| found.get(zone).copied().unwrap_or_default();
    let recorded: Vec<_> = found.keys().copied().filter(|&zone| zones.records(zone)).collect();
    if recorded.iter().all(|zone| of(zone).connections == 0) {
        return nothing(step, &recorded, found);
    }
    let mut step = step;
    for zone in recorded {
        let Contents { connections, uncounted, allowed, labelled } = of(&zone);
        let text = format!("zone {zone} holds {connections} connections");
        if !zones.needs_mark(zone) {
            step = step.ok(text);
        } else if connections > 0 && allowed == 0 {
            step = step.warn(
                format!("{text}, none of which a policy has let pass by its mark"),
                "see whether the Antrea Agent is at least 1.5: before, marks meant other things",
            );
        } else {
            let marks = "with Antrea's mark";
            step = step
                .ok(format!("{text}, {allowed} {marks} and {labelled} with rules in their label"));
        }
        if uncounted > 0 {
            step = step.warn(
                format!("zone {zone}: {uncounted} connections began before they were counted, and are not told"),
                "see the step sysctls; new connections are counted once accounting is on",
            );
        }
    }
    step
}

/// No zone that is recorded holds anything.
fn nothing(step: Step, recorded: &[u16], found: &BTreeMap<u16, Contents>) -> Step {
    let text = format!("the zones that are recorded ({recorded:?}) hold no connection");
    let holds = |zone: &u16| found.get(zone).is_some_and(|it| it.connections > 0);
    if ANTREA.iter().any(holds) {
        step.fail(text, "Antrea's zones hold some: say conntrackZones: [antrea]")
    } else if holds(&HOST) {
        step.fail(
            text,
            "zone 0 holds some: say conntrackZones: [0], unless they are not those of Pods",
        )
    } else {
        step.warn(
            text,
            "see whether there is traffic, and run in the host's network namespace \
             (hostNetwork: true)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::conntrack::{Counters, Entry, Kind, Recorded, Step as Play, Tuple};

    fn entry(zone: u16, port: u16, mark: u32) -> Entry {
        let (one, other) = (([10, 0, 0, 1].into(), port), ([10, 0, 0, 2].into(), 80));
        let entry = Entry::new(Kind::Dump, Tuple::new(one, other, 6), Tuple::new(other, one, 6));
        Entry { zone, mark, counters: Some(Counters::default()), id: u32::from(port), ..entry }
    }

    fn found(entries: Vec<Entry>) -> BTreeMap<u16, Contents> {
        let (player, mut source) = Recorded::new();
        player.play(Play::Table(entries));
        source.events(&mut |_| {}).unwrap();
        contents(&mut source, &[0, 65520, 65510]).unwrap()
    }

    fn told(parts: &[Part], entries: Vec<Entry>) -> (Verdict, String) {
        let step = weigh(Step::new("zones"), &Zones::of(parts), &found(entries));
        let finding = step.findings.last().unwrap();
        let remedy = finding.remedy.clone().unwrap_or_default();
        (step.verdict(), format!("{} -> {remedy}", finding.found))
    }

    #[test]
    fn connections_elsewhere_say_which_zone_was_meant() {
        let (verdict, text) = told(&[Part::Zone(0)], vec![entry(65520, 1, 3)]);
        assert_eq!(verdict, Verdict::Fail);
        assert!(text.contains("([0]) hold no connection") && text.contains("[antrea]"), "{text}");
        let (verdict, text) = told(&[Part::Antrea], vec![entry(0, 1, 0)]);
        assert_eq!(verdict, Verdict::Fail);
        assert!(text.contains("conntrackZones: [0]"), "{text}");
        let (verdict, text) = told(&[Part::Antrea], Vec::new());
        assert_eq!(verdict, Verdict::Warn);
        assert!(text.contains("hostNetwork"), "{text}");
    }

    #[test]
    fn marks_and_counters_are_looked_at() {
        let two = vec![entry(65520, 1, 3), entry(65520, 2, 0)];
        let told_of = |entries| told(&[Part::Antrea, Part::Zone(65510)], entries);
        let step = weigh(Step::new("zones"), &Zones::of(&[Part::Antrea]), &found(two));
        assert_eq!(step.verdict(), Verdict::Ok);
        let texts: Vec<_> = step.findings.iter().map(|it| it.found.as_str()).collect();
        let shown = "zone 65520 holds 2 connections, 1 with Antrea's mark and 0 with rules in \
                     their label";
        assert!(texts.contains(&shown), "{texts:?}");
        assert_eq!(told_of(vec![entry(65520, 1, 0)]).0, Verdict::Warn);
        let uncounted = Entry { counters: None, ..entry(0, 1, 0) };
        let (verdict, text) = told(&[Part::Zone(0)], vec![uncounted]);
        assert_eq!(verdict, Verdict::Warn);
        assert!(text.contains("1 connections began before they were counted"), "{text}");
    }
}
