//! What must hold of any bytes whatever that come from elsewhere.
//!
//! Each function is a fuzz target (`fuzz/`), and is tried on what the fuzzer kept by an ordinary
//! test. It panics if something does not hold. That what reads the bytes neither panics nor runs
//! out of memory holds by getting to the end.

use std::collections::HashMap;

use config::{Layer, Sources};

use crate::conntrack::message::Messages;
use crate::conntrack::{self, Kind};
use crate::deny::packet::{self, Packet};
use crate::deny::{audit, nflog, ovs};
use crate::settings::{AGENT_FILE, KEYS, OWN_FILE, Settings};

/// The longest packet: what IPv6's own length does not count is its header.
const LONGEST: u64 = 65_535 + 40;

/// What a switch says, cut into pieces as the first byte has it.
pub fn openflow(data: &[u8]) {
    let Some((&first, wire)) = data.split_first() else { return };
    let (named, piece) = (first & 1 == 1, 1 + usize::from(first >> 1));
    let whole = ovs::hear(named, wire, usize::MAX);
    for denied in &whole.denied {
        assert_eq!(denied.packets, 1);
        assert!(denied.octets <= LONGEST.max(wire.len() as u64));
    }
    // What it makes us say is less than what it says, but for what follows from each of its
    // messages once.
    assert!(whole.said <= wire.len() + 160 * (1 + whole.messages));
    assert_eq!(ovs::hear(named, wire, piece), whole, "pieces make no difference");
}

/// A line of the Agent's `np.log`.
pub fn np_log(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(audit::understand(data).is_none());
        return;
    };
    let Some(understood) = audit::understand(data) else { return };
    let (packets, parts) = understood;
    assert!(packets > 0);
    assert!(parts.iter().all(|part| text.contains(part.as_str())));
    // How often it is repeated is said at the end, and changes nothing else.
    let line = text.trim_end_matches(['\r', '\n']);
    if !line.ends_with(']') {
        let repeated = format!("{line} [7 packets in 1.5s]\n");
        assert_eq!(audit::understand(repeated.as_bytes()), Some((7, parts)));
    }
}

/// A packet, or what was captured of it.
pub fn packet(data: &[u8]) {
    ovs::read_frame(data);
    let Ok(whole) = packet::read(data) else { return };
    check(&whole, data.len());
    for length in [data.len() / 2, data.len().saturating_sub(1)] {
        // Where the header says no length, it is that of what is here.
        if let Ok(part) = packet::read(&data[..length]) {
            let octets = part.octets == whole.octets || part.octets == length as u64;
            assert!(part.tuple == whole.tuple && octets);
        }
    }
}

fn check(packet: &Packet, length: usize) {
    assert!(packet.octets <= LONGEST.max(length as u64));
    let (source, destination) = (packet.tuple.source(), packet.tuple.destination());
    assert_eq!(source.is_ipv4(), destination.is_ipv4());
}

/// A datagram of the kernel's, about connections or about packets it has logged.
pub fn netlink(data: &[u8]) {
    let mut length = 0;
    for message in Messages(data) {
        let Ok(message) = message else { break };
        length += message.body.len();
        assert!(length <= data.len());
        message.error_number();
        if let Some(packet) = nflog::packet(message.body) {
            check(&packet, message.body.len());
        }
        let told = [Kind::Dump, Kind::New, Kind::Update, Kind::Destroy].map(|kind| {
            let entry = conntrack::parse(kind, message.body);
            entry.map(|entry| conntrack::Entry { kind: Kind::Dump, ..entry })
        });
        assert!(told.iter().all(|other| *other == told[0]), "what it is about changes nothing");
    }
}

/// `flow-exporter.conf`, and behind a zero `antrea-agent.conf`.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (own, agent) = text.split_once('\0').unwrap_or((text, ""));
    let Some(settings) = resolve(own, agent) else { return };
    let printed = settings.to_yaml();
    let again = resolve(&printed, agent).unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(values(&again.to_yaml()), values(&printed));
}

fn resolve(own: &str, agent: &str) -> Option<Settings> {
    let mut sources = Sources { flags: HashMap::new(), ..Sources::default() };
    for (kind, text) in [(&OWN_FILE, own), (&AGENT_FILE, agent)] {
        let layer = Layer::read(kind, kind.name, text, &KEYS, &mut sources.findings);
        sources.layers.push(layer);
    }
    Settings::resolve(sources).0
}

/// Without who gave them.
fn values(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value)).collect()
}

#[cfg(test)]
mod tests;
