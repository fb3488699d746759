//! What `tests::records::aggregated` tells, element by element, written down by hand; what goes by
//! a rule is not in the file.

use serde_json::{Map, Value};

const fn counters(base: u64) -> [u64; 4] {
    [base, base + 1, base + 2, base + 3]
}

/// Values by element, for the given addresses.
pub(crate) fn told(source: &str, destination: &str, service: &str) -> Map<String, Value> {
    let is_v4 = source.contains('.');
    let version = if is_v4 { "4" } else { "6" };
    let mut values: Map<String, Value> =
        serde_json::from_str(include_str!("told.json")).expect("JSON");
    for (suffix, forward, reverse) in
        [("", 1000, 1 << 33), ("FromSourceNode", 2000, 2010), ("FromDestinationNode", 3000, 3010)]
    {
        for (way, base) in [("", forward), ("reverse", reverse)] {
            for (name, value) in ["packetTotal", "octetTotal", "packetDelta", "octetDelta"]
                .iter()
                .zip(counters(base))
            {
                let name = match way {
                    "" => (*name).to_owned(),
                    _ => format!("{way}{}{}", name[..1].to_uppercase(), &name[1..]),
                };
                values.insert(format!("{name}Count{suffix}"), value.into());
            }
        }
    }
    for (name, value) in [
        (format!("sourceIPv{version}Address"), source),
        (format!("destinationIPv{version}Address"), destination),
        (format!("proxySnatIPv{version}"), destination),
        (format!("destinationClusterIPv{version}"), service),
        (format!("destinationServiceIPv{version}"), service),
    ] {
        values.insert(name, value.into());
    }
    values
}
