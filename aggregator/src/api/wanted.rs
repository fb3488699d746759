//! Which flows are asked for.

use std::collections::HashMap;
use std::str::FromStr;

use crate::shards::FlowFilter;

/// Reads Antrea's parameters. As there, 0 says nothing, and so does nothing.
pub(super) fn read(parameters: &HashMap<String, String>) -> Result<FlowFilter, String> {
    Ok(FlowFilter {
        source: value(parameters, "srcip", "address")?,
        destination: value(parameters, "dstip", "address")?,
        protocol: value(parameters, "proto", "protocol number")?.filter(|it| *it != 0),
        source_port: value(parameters, "srcport", "port")?.filter(|it| *it != 0),
        destination_port: value(parameters, "dstport", "port")?.filter(|it| *it != 0),
    })
}

fn value<T: FromStr>(
    parameters: &HashMap<String, String>,
    name: &str,
    what: &str,
) -> Result<Option<T>, String> {
    let text = parameters.get(name).filter(|text| !text.is_empty());
    let read = text.map(|text| text.parse().map_err(|_| format!("{name}: {text:?} is no {what}")));
    read.transpose()
}

#[cfg(test)]
mod tests {
    use flow::FlowKey;

    use super::*;

    fn asked(parameters: &[(&str, &str)]) -> Result<FlowFilter, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        read(&parameters.iter().map(owned).collect())
    }

    #[test]
    fn what_is_not_said_may_be_anything() {
        let key = FlowKey {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            source_port: 1234,
            destination_port: 80,
            protocol: 6,
            icmp_type_code: 0,
        };
        for (parameters, expected) in [
            (&[][..], true),
            (&[("srcip", "10.0.0.1")], true),
            (&[("srcip", "::ffff:10.0.0.1")], true),
            (&[("srcip", "10.0.0.2")], false),
            (&[("dstip", "10.0.0.2"), ("dstport", "80"), ("proto", "6")], true),
            (&[("srcport", "0"), ("dstport", ""), ("proto", "0")], true),
            (&[("srcport", "80")], false),
            (&[("proto", "17")], false),
        ] {
            assert_eq!(asked(parameters).unwrap().matches(&key), expected, "{parameters:?}");
        }
    }

    #[test]
    fn what_is_none_is_named() {
        assert_eq!(asked(&[("srcport", "70000")]).unwrap_err(), "srcport: \"70000\" is no port");
        assert_eq!(asked(&[("srcip", "web")]).unwrap_err(), "srcip: \"web\" is no address");
    }
}
