//! Which flows are asked for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use flow::FlowKey;

/// What of a flow's key has to be so; what is not said may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub protocol: Option<u8>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
}

impl Wanted {
    /// Reads Antrea's parameters. As there, 0 says nothing, and so does nothing.
    pub(super) fn read(parameters: &HashMap<String, String>) -> Result<Self, String> {
        Ok(Self {
            source: value(parameters, "srcip", "address")?,
            destination: value(parameters, "dstip", "address")?,
            protocol: value(parameters, "proto", "protocol number")?.filter(|it| *it != 0),
            source_port: value(parameters, "srcport", "port")?.filter(|it| *it != 0),
            destination_port: value(parameters, "dstport", "port")?.filter(|it| *it != 0),
        })
    }

    pub fn is(&self, key: &FlowKey) -> bool {
        let same = |wanted: Option<IpAddr>, it: IpAddr| {
            wanted.is_none_or(|wanted| wanted.to_canonical() == it.to_canonical())
        };
        same(self.source, key.source)
            && same(self.destination, key.destination)
            && self.protocol.is_none_or(|it| it == key.protocol)
            && self.source_port.is_none_or(|it| it == key.source_port)
            && self.destination_port.is_none_or(|it| it == key.destination_port)
    }
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
    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<Wanted, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Wanted::read(&parameters.iter().map(owned).collect())
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
            assert_eq!(read(parameters).unwrap().is(&key), expected, "{parameters:?}");
        }
    }

    #[test]
    fn what_is_none_is_named() {
        assert_eq!(read(&[("srcport", "70000")]).unwrap_err(), "srcport: \"70000\" is no port");
        assert_eq!(read(&[("srcip", "web")]).unwrap_err(), "srcip: \"web\" is no address");
    }
}
