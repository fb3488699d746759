//! What the aggregator's outputs send and write, read by programs we did not write.

#[path = "aggregator_outputs/elements.rs"]
mod elements;
#[path = "aggregator_outputs/log.rs"]
mod log;
#[path = "aggregator_outputs/protected.rs"]
mod protected;
#[path = "aggregator_outputs/proxy.rs"]
mod proxy;
#[path = "aggregator_outputs/told.rs"]
mod told;
#[path = "aggregator_outputs/reading.rs"]
mod reading;

use std::time::Duration;

use elements::{ALL_CONTENTS, template, wanted};
use flow::{Batch, Contents, Mode};
use reading::{Collector, python};
use serde_json::Value;
use sinks::ipfix::{Directions, IpfixSink, Profile};
use sinks::json::JsonSink;
use sinks::{FarEnd, Sink, Transport};
use tests::records::aggregated;
use told::told;

const NOW_MS: u64 = 1_700_000_010_000;
const V4: [&str; 3] = ["10.10.0.2", "10.10.1.2", "10.96.0.10"];
const V6: [&str; 3] = ["fd00:10::2", "fd00:10:1::2", "fd00:96::a"];

/// Records of both families, one after the other.
fn batch() -> Batch {
    [V4, V6, V4]
        .map(|[source, destination, service]| aggregated(source, destination, service))
        .into()
}

fn options(address: &str, contents: Contents, profile: Profile) -> sinks::ipfix::Options {
    sinks::ipfix::Options {
        to: FarEnd { address: address.to_owned(), transport: Transport::Tcp },
        domain: 4711,
        max_message: None,
        template_refresh: Duration::from_mins(10),
        profile,
        contents,
        cluster_id: "cluster-1".to_owned(),
    }
}

/// What a collector over TCP gets of [`batch`].
async fn sent(contents: Contents, profile: Profile) -> Vec<u8> {
    let collector = Collector::listen().await;
    let mut sink = IpfixSink::new(options(&collector.address, contents, profile)).expect("it may");
    sink.write(&batch(), NOW_MS).await.expect("there is room");
    sink.flush().await.expect("it is sent");
    drop(sink);
    collector.read().await
}

#[tokio::test]
async fn templates_are_antreas_octet_by_octet() {
    for contents in ALL_CONTENTS {
        let bytes = sent(contents, Profile::Antrea).await;
        let mut messages = ipfix::file::Messages::new(bytes.as_slice());
        for (id, version) in [(256, '4'), (257, '6')] {
            let message = messages.next_message().expect("a message").expect("one more");
            assert_eq!(message[16..], template(id, contents, version), "{contents:?}");
            assert_eq!(message[12..16], 4711_u32.to_be_bytes());
        }
        // Both records of IPv4 in one Set, that of IPv6 in another message.
        let mut told = Vec::new();
        while let Some(message) = messages.next_message().expect("a message") {
            let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
            assert_eq!(usize::from(number(18)), message.len() - 16, "one Set and nothing else");
            told.push((number(16), number(10)));
        }
        assert_eq!(told, [(256, 0), (257, 2)]);
    }
}

#[tokio::test]
async fn pypi_ipfix_reads_every_value_of_antreas_profile() {
    for contents in ALL_CONTENTS {
        let bytes = sent(contents, Profile::Antrea).await;
        let records = reading::pypi(&bytes);
        assert_eq!(records.len(), 3);
        for (record, ends) in records.iter().zip([V4, V4, V6]) {
            let version = if ends == V4 { '4' } else { '6' };
            let told = told(ends[0], ends[1], ends[2]);
            let names = wanted(contents, version);
            assert_eq!(record.len(), names.len(), "{contents:?}");
            for name in names {
                assert_eq!(record[&name], told[&name], "{name} of {contents:?}");
            }
        }
    }
}

/// Beside what is in Antrea's profile: finer times, and who began.
#[tokio::test]
async fn pypi_ipfix_reads_the_profiles_for_others() {
    let contents = Contents { names: true, uids: true, mode: Mode::Aggregate };
    let mut finer = told(V4[0], V4[1], V4[2]);
    finer.insert("flowDurationMilliseconds".to_owned(), 9333.into());
    finer.insert("flowStartMilliseconds".to_owned(), 1_700_000_000_123_u64.into());
    finer.insert("flowEndMilliseconds".to_owned(), 1_700_000_009_456_u64.into());
    finer.insert("icmpTypeCodeIPv4".to_owned(), 0.into());
    finer.insert("biflowDirection".to_owned(), 1.into());
    finer.insert("flowDirection".to_owned(), 1.into());
    for (profile, count, elements) in [
        // All but a Service's older address; five more.
        (Profile::Standard(Directions::Biflow), 3, 79 - 1 + 5),
        // Without 4 + 8 reverse counters, 3 rates, and who began.
        (Profile::Standard(Directions::Uniflow), 6, 79 - 1 + 5 - 16),
        (Profile::Iana, 6, 12 + 4),
    ] {
        let records = reading::pypi(&sent(contents, profile).await);
        assert_eq!(records.len(), count, "{profile:?}");
        let record = &records[0];
        assert_eq!(record.len(), elements, "{profile:?}: {:?}", record.keys());
        for (name, value) in record {
            assert_eq!(value, &finer[name], "{name} of {profile:?}");
        }
        let back = &records[1];
        if count == 6 {
            assert_eq!(back["sourceIPv4Address"], V4[1]);
            assert_eq!(back["destinationIPv4Address"], V4[0]);
            assert_eq!(back["sourceTransportPort"], 8080);
            assert_eq!(back["octetDeltaCount"], (1_u64 << 33) + 3);
            assert_eq!(back["flowStartMilliseconds"], finer["flowStartMilliseconds"]);
        }
    }
}

#[tokio::test]
async fn python_reads_every_value_of_json() {
    for contents in ALL_CONTENTS {
        let collector = Collector::listen().await;
        let options = sinks::json::Options {
            to: FarEnd { address: collector.address.clone(), transport: Transport::Tcp },
            contents,
            cluster_id: "cluster-1".to_owned(),
        };
        let mut sink = JsonSink::new(options).expect("it may");
        sink.write(&batch(), NOW_MS).await.expect("there is room");
        sink.flush().await.expect("it is sent");
        drop(sink);
        let script = "import json, sys\n\
                      for line in sys.stdin:\n    \
                          record = json.loads(line)\n    \
                          print(json.dumps([record['@timestamp'], record['ipfix']]))\n    \
                          assert list(record['ipfix']) == sorted(record['ipfix'])";
        let printed = python(&["-c", script], &collector.read().await);
        assert_eq!(printed.lines().count(), 3);
        for (line, ends) in printed.lines().zip([V4, V6, V4]) {
            let [time, record]: [Value; 2] = serde_json::from_str(line).expect("JSON");
            assert_eq!(time, "2023-11-14T22:13:30Z");
            let told = told(ends[0], ends[1], ends[2]);
            let names = wanted(contents, if ends == V4 { '4' } else { '6' });
            assert_eq!(record.as_object().expect("an object").len(), names.len());
            for name in names {
                assert_eq!(record[&name], told[&name], "{name} of {contents:?}");
            }
        }
    }
}
