//! Who had an address: the tracker, told by a watch that fails, against the truth.
//!
//! A script says to the millisecond what happens in a cluster of 1,000 Nodes and 20,000 Pods whose
//! addresses are given again as soon as they are free. The tracker is told of it as an API server
//! and a watch would: cut to seconds, late, twice, not at all, or from a list of a while ago. A
//! million questions are answered from the script as well, by looking. An answer may be "unknown"
//! where not even the judge could tell from what the tracker was told; it may not be wrong.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]
#![expect(clippy::print_stdout, reason = "the table is what a person wants to see")]

#[path = "truth/script.rs"]
mod script; // what happens
#[path = "truth/watch.rs"]
mod watch; // what the tracker is told of it
#[path = "truth/questions.rs"]
mod questions; // what is asked
#[path = "truth/judge.rs"]
mod judge; // what the answers are worth

use std::collections::BTreeMap;

use k8s::Margins;

use judge::{Judge, Verdict};
use questions::{About, Asker};
use script::{BEGIN, LASTS, NODES, Script};
use watch::{Fault, Watch};

const TICK: u64 = 100;
const QUESTIONS: u64 = 1_000_000;
/// What is over is forgotten early, so that a minute sees it.
const MARGINS: Margins =
    Margins { skew_ms: 500, linger_ms: 5_000, settle_ms: 5_000, keep_ms: 25_000 };

fn faults() -> Vec<(u64, Fault)> {
    vec![
        (12_000, Fault::Stall { until: 18_000 }),
        (22_000, Fault::Break { until: 26_000, stale: 2_000, broken_off: false }),
        (33_000, Fault::Break { until: 33_000, stale: 0, broken_off: false }),
        (40_000, Fault::Restart { stale: 500 }),
        (47_000, Fault::Break { until: 50_000, stale: 3_000, broken_off: true }),
        (55_000, Fault::Stall { until: 56_000 }),
    ]
}

#[test]
fn a_million_questions_are_answered_truly_or_not_at_all() {
    let script = Script::play(1);
    let mut watch = Watch::new(&script, MARGINS, 2, faults());
    watch.run_first_list();
    let mut asker = Asker::new(&script);
    let (mut told, mut unfounded) = (BTreeMap::new(), 0);
    let ticks = LASTS / TICK;
    for tick in 1..=ticks {
        let now = BEGIN + tick * TICK;
        watch.run(now, tick * TICK);
        let cluster = watch.tracker.cluster();
        for _ in 0..=QUESTIONS / ticks {
            let question = asker.question(now);
            let judge = Judge { script: &script, watch: &watch, now };
            let judged = judge.judge(&question, &cluster);
            if matches!(judged, Verdict::Wrong | Verdict::Unexplained(_)) {
                unfounded += 1;
                judge.explain(&question, &cluster);
            }
            *told.entry((judged, question.about)).or_insert(0_u64) += 1;
        }
        assert!(unfounded < 3, "a wrong name, or no reason not to know");
    }
    assert_eq!(unfounded, 0, "a wrong name, or no reason not to know");
    let of = |about| told.iter().filter(move |((_, asked), _)| *asked == about);
    // A third of the questions is about the last seconds, for which it is too early.
    for (about, most_unresolved, most_guessed) in [
        (About::AnyAddress, 4.0, 33.0),
        (About::ChangedAddress, 18.0, 33.0),
        (About::Change, 40.0, 33.0),
    ] {
        let total: u64 = of(about).map(|(_, count)| count).sum();
        println!("{total} questions about {about:?}");
        for ((judged, _), count) in of(about) {
            println!("{count:>9}  {:>6.2} %  {judged:?}", percent(*count, total));
        }
        let share = |which: fn(Verdict) -> bool| {
            let counted = of(about).filter(|((judged, _), _)| which(*judged));
            percent(counted.map(|(_, count)| count).sum(), total)
        };
        let (unresolved, guessed) = (share(Verdict::is_unresolved), share(Verdict::is_guessed));
        assert!(total > QUESTIONS / 5, "{total} questions about {about:?}");
        assert!(unresolved < most_unresolved, "{unresolved} % unresolved");
        assert!(guessed < most_guessed, "{guessed} % too recent");
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn percent(part: u64, total: u64) -> f64 {
    part as f64 * 100.0 / total as f64
}

#[test]
fn the_script_gives_addresses_again_within_a_second() {
    let script = Script::play(1);
    let mut soon = 0;
    let mut at_all = 0;
    for tenancies in script.tenancies.values() {
        for pair in tenancies.windows(2) {
            assert!(pair[0].to <= pair[1].from, "two have an address at once");
            at_all += 1;
            soon += u32::from(pair[1].from - pair[0].to < 1_000);
        }
    }
    println!("{at_all} changed hands, {soon} within a second");
    assert!(soon > 1_000 && script.clocks.len() == NODES);
    assert!(script.events.is_sorted_by_key(|event| event.at));
}
