//! The exporter as a whole: flows of every kind by the thousand, over every transport at once,
//! while things go wrong. What each destination was told adds up, for each flow, to what the
//! kernel counted: `conntrack -E` tells the end of each connection, and nft counts what is denied.

#[path = "mixed/certificates.rs"]
mod certificates;
#[path = "mixed/stand.rs"]
mod stand;
#[path = "mixed/sums.rs"]
mod sums;
#[path = "mixed/traffic.rs"]
mod traffic;

use stand::{Destination, Stand};
use sums::assert_same;
use tests::binary::sum;

const TLS: &str = "profile: fyke, tls.caFile: ca.pem, tls.certFile: exporter.pem, \
    tls.keyFile: exporter.key, tls.serverName: collector.test";

#[test]
fn ten_thousand_flows_are_told_the_same_over_every_transport() {
    let antrea = Destination { more: "profile: antrea", ..Destination::tcp("antrea", 4739) };
    let mutual = Destination { name: "mutual", port: 4740, transport: "tls", more: TLS };
    let datagrams = Destination { transport: "udp", ..Destination::tcp("datagrams", 4741) };
    let destinations = [antrea, mutual, datagrams];
    let mut stand = Stand::start("mixall", &destinations, "");
    destinations.iter().for_each(|destination| stand.collector(destination));
    stand.begin();

    stand.traffic.begin(1200);
    for _ in 0..6 {
        stand.traffic.brief(1300);
        stand.traffic.denied(170);
        stand.traffic.go_on(2);
    }
    stand.traffic.end(0);
    assert!(stand.traffic.made() >= 10_000);
    let (mut expected, denied) = (stand.wait_for_the_end(), stand.denied());
    assert!(expected.len() > 8900 && denied.len() > 900, "{} {}", expected.len(), denied.len());
    expected.extend(denied);
    let told = stand.metrics();
    stand.finish();
    for destination in ["mutual", "datagrams"] {
        stand_still(&stand, destination);
        assert_same(destination, &stand.told(destination), &expected);
    }
    stand_still(&stand, "antrea");
    let unnamed = sums::without_identifiers(&expected);
    assert_same("antrea", &stand.told("antrea"), &unnamed);
    for lost in ["records_lost_total", "records_coalesced_total"] {
        assert_eq!(sum(&told, &format!("fyke_exporter_{lost}")), 0, "{told}");
    }
}

fn stand_still(_stand: &Stand, _destination: &str) {}
