use std::collections::HashSet;

use ipfix::encode::{Encoder, Packing};

use super::*;
use crate::{LogColumns, Mode};

fn contents(names: bool, uids: bool, mode: Mode) -> Contents {
    Contents { names, uids, mode }
}

/// A message with the template alone: what a header and 4 bytes of a Set take beside it.
fn template_message(layout: &Layout) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(0, u16::MAX, Packing::Full);
    encoder.template(0, &layout.template(TemplateId::MIN), &mut out).unwrap();
    out
}

/// Counts and lengths were measured of Antrea's own aggregator.
#[test]
fn antreas_templates_are_as_long_as_its_own() {
    for (names, uids, mode, count, length) in [
        (true, false, Mode::Aggregate, 70, 536),
        (false, true, Mode::Aggregate, 66, 504),
        (true, true, Mode::Aggregate, 79, 608),
        (false, false, Mode::Aggregate, 55, 416),
        (true, false, Mode::Proxy, 50, 360),
        (false, true, Mode::Proxy, 46, 328),
        (true, true, Mode::Proxy, 59, 432),
        (false, false, Mode::Proxy, 35, 240),
    ] {
        for family in [Family::V4, Family::V6] {
            let layout = Layout::antrea(contents(names, uids, mode), family);
            assert_eq!(layout.elements().count(), count, "{names} {uids} {mode:?}");
            assert_eq!(template_message(&layout).len(), length, "{names} {uids} {mode:?}");
        }
    }
}

#[test]
fn the_fixed_part_of_antreas_records_is_as_long_as_its_own() {
    for (family, length) in [(Family::V4, 291), (Family::V6, 351)] {
        let layout = Layout::antrea(contents(true, false, Mode::Aggregate), family);
        let strings = layout.elements().filter(|element| element.length == u16::MAX).count();
        let template = layout.template(TemplateId::MIN);
        assert_eq!((strings, template.minimum_record_length()), (20, length + 20));
    }
}

fn parts(layout: &Layout) -> Vec<u8> {
    let part = |pen| match pen {
        IANA_PEN => 0,
        REVERSE_PEN => 1,
        _ => 2,
    };
    layout.elements().map(|element| part(element.pen)).collect()
}

#[test]
fn what_others_get_is_in_the_order_they_need() {
    for biflow in [true, false] {
        let layout = Layout::standard(contents(true, true, Mode::Proxy), biflow, Family::V4);
        let parts = parts(&layout);
        assert!(parts.is_sorted(), "{parts:?}");
        assert_eq!(parts.contains(&1), biflow);
        let mut seen = HashSet::new();
        let once = |element: InformationElement| seen.insert((element.pen, element.id));
        assert!(layout.elements().all(once), "no element twice");
        let place =
            |wanted: InformationElement| layout.elements().position(|element| element == wanted);
        assert!(place(iana::OCTET_TOTAL_COUNT) < place(iana::OCTET_DELTA_COUNT), "totals first");
        assert_eq!(place(iana::BIFLOW_DIRECTION).is_some(), biflow);
        assert!(place(iana::FLOW_DURATION_MILLISECONDS).is_some());
    }
    let iana = Layout::iana(contents(true, true, Mode::Aggregate), Family::V6);
    assert!(iana.elements().count() > 14);
    assert!(parts(&iana).iter().all(|part| *part == 0));
}

#[test]
fn every_place_is_in_the_table() {
    for (place, _) in PLACES {
        assert!(
            step(place, Family::V4).is_some() && step(place, Family::V6).is_some(),
            "{place:?}"
        );
    }
    for name in FINER.iter().chain(&SPARED) {
        assert!(Field::by_name(name).is_some(), "{name}");
    }
    assert_eq!(LogColumns::default(), LogColumns::V2_7);
}

#[test]
fn an_address_is_told_by_the_element_of_its_family_alone() {
    let layout = Layout::antrea(contents(false, false, Mode::Proxy), Family::V4);
    let exporters = |exporter: &str| {
        let mut record = FlowRecord::default();
        record.origin.exporter = exporter.parse().ok();
        let values = layout.values(&record, "");
        let told = values.filter(|(name, _)| name.starts_with("originalExporter"));
        told.map(|(_, value)| format!("{value:?}")).collect::<Vec<_>>()
    };
    let address = |text: &str| format!("{:?}", Value::Address(text.parse().unwrap()));
    assert_eq!(exporters("10.0.0.1"), [address("10.0.0.1"), address("::")]);
    assert_eq!(exporters("fd00::1"), [address("0.0.0.0"), address("fd00::1")]);
    assert_eq!(exporters(""), [address("0.0.0.0"), address("::")]);
}

#[test]
fn a_duration_is_that_of_the_flow() {
    let duration = |start_ms, end_ms| {
        super::duration(&FlowRecord { start_ms, end_ms, ..FlowRecord::default() })
    };
    assert_eq!(duration(1_700_000_000_123, 1_700_000_001_124), 1001);
    assert_eq!(duration(2, 1), 0);
    assert_eq!(duration(0, u64::MAX), u32::MAX);
}
