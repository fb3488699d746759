//! How the values that only an exporter has are read.

use std::path::PathBuf;

use config::{Raw, Reading, Severity, Wrong, read};
use flow::{Profile, protocol};
use ipnet::IpNet;
use rustls::pki_types::ServerName;

use crate::enrich::TrafficMode;
use crate::filter::ProtocolFilter;
use crate::zones::{NoZone, Part, Zones};

/// Zones that are dumped one after the other, each poll interval. A VLAN has two.
const MAX_ZONES: usize = 64;
/// Each is compared with every address that is no Node's Pod's.
const MAX_NETWORKS: usize = 64;
/// A slot of the meter is told by 32 bits, and memory ends long before.
const MAX_CONNECTIONS: usize = 100_000_000;
/// Polls per active timeout: at the shortest interval this is more than a week.
const MAX_FREQUENCY: usize = 1_000_000;

/// When to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enable {
    Always,
    /// If gate and `enable` of Antrea's file say so.
    FollowAgent,
}

impl Enable {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::FollowAgent => "followAgent",
        }
    }
}

pub(super) fn enable(raw: &Raw) -> Result<Enable, &'static str> {
    let word = read::text(raw)?;
    let known = [Enable::Always, Enable::FollowAgent].into_iter().find(|it| it.word() == word);
    known.ok_or("it is neither")
}

/// Whether the API server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kubernetes {
    /// If there is a way to it.
    Auto,
    Off,
}

impl Kubernetes {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

pub(super) fn kubernetes(raw: &Raw) -> Result<Kubernetes, &'static str> {
    let word = read::text(raw)?;
    let known = [Kubernetes::Auto, Kubernetes::Off].into_iter().find(|it| it.word() == word);
    known.ok_or("it is neither")
}

pub(super) const fn profile_word(profile: Profile) -> &'static str {
    match profile {
        Profile::Antrea => "antrea",
        Profile::Fyke => "fyke",
    }
}

pub(super) fn profile(raw: &Raw) -> Result<Profile, &'static str> {
    let word = read::text(raw)?;
    let known = [Profile::Antrea, Profile::Fyke].into_iter().find(|it| profile_word(*it) == word);
    known.ok_or("it is neither")
}

pub(super) fn path(raw: &Raw) -> Result<PathBuf, &'static str> {
    read::text(raw).map(PathBuf::from)
}

pub(super) fn node(raw: &Raw) -> Result<String, &'static str> {
    read::text(raw).map(str::to_owned)
}

pub(super) fn server_name(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    match ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("no certificate has such a name"),
    }
}

pub(super) fn connections(raw: &Raw) -> Result<usize, String> {
    read::count(raw, MAX_CONNECTIONS)
}

/// Antrea's words for how traffic leaves a Node.
const MODES: [(&str, TrafficMode); 4] = [
    ("encap", TrafficMode::Routed),
    ("noEncap", TrafficMode::Routed),
    ("hybrid", TrafficMode::Routed),
    ("networkPolicyOnly", TrafficMode::PolicyOnly),
];

pub(super) fn traffic_mode(raw: &Raw) -> Result<TrafficMode, &'static str> {
    let word = read::text(raw)?;
    let known = MODES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|(_, mode)| mode).ok_or("it is none of them")
}

pub(super) const fn traffic_mode_word(mode: TrafficMode) -> &'static str {
    match mode {
        TrafficMode::Routed => "encap",
        TrafficMode::PolicyOnly => "networkPolicyOnly",
    }
}

pub(super) fn networks(raw: &Raw) -> Result<Vec<IpNet>, String> {
    let list = read::list(raw)?;
    if list.len() > MAX_NETWORKS {
        return Err(format!("there are more than {MAX_NETWORKS}"));
    }
    let network = |text: &String| {
        text.parse::<IpNet>()
            .map(|network| network.trunc())
            .map_err(|_| format!("{text:?} is none"))
    };
    list.iter().map(network).collect()
}

pub(super) fn port(raw: &Raw) -> Result<u16, String> {
    let port = read::count(raw, usize::from(u16::MAX))?;
    u16::try_from(port).map_err(|error| error.to_string())
}

/// 0 is as good as nothing, as in Antrea.
pub(super) fn frequency(raw: &Raw) -> Result<u32, String> {
    if read::text(raw)? == "0" {
        return Ok(0);
    }
    let polls = read::count(raw, MAX_FREQUENCY)?;
    u32::try_from(polls).map_err(|error| error.to_string())
}

/// Zones as they are written: `None` stands for `auto`.
pub(super) fn zones(raw: &Raw) -> Reading<Option<Vec<Part>>> {
    let items = match raw {
        Raw::List(items) => &items[..],
        Raw::Text(word) => std::slice::from_ref(word),
    };
    if let [word] = items
        && word == "auto"
    {
        return Ok::<_, String>(None).into();
    }
    let mut parts = Vec::new();
    let mut wrong = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.parse() {
            Ok(part) if parts.contains(&part) => {}
            Ok(part) => parts.push(part),
            Err(why @ NoZone) => {
                let index = matches!(raw, Raw::List(_)).then_some(index);
                let why = why.to_string();
                wrong.push(Wrong { severity: Severity::Error, item: index, why });
            }
        }
    }
    let count = Zones::of(&parts).read().len();
    if wrong.is_empty() && (count == 0 || count > MAX_ZONES) {
        let why = format!("it has {count} zones; 1 to {MAX_ZONES} are possible");
        return Err::<Option<Vec<_>>, _>(why).into();
    }
    Reading { value: Some(Some(parts)), wrong }
}

/// Antrea's Helm chart writes a list of two as `[tcp udp]`, which YAML takes for one item. The
/// Agent knows no such protocol and exports nothing; here it is read as it was meant.
pub(super) fn protocols(raw: &Raw) -> Reading<ProtocolFilter> {
    let Raw::List(items) = raw else {
        let why = match read::text(raw) {
            Ok("nil") => "this is a word, not nothing; leave the key out to record everything",
            _ => "a list is wanted, as in [tcp, udp]",
        };
        return Err::<ProtocolFilter, _>(why).into();
    };
    let mut numbers = Vec::new();
    let mut wrong = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut doubt = |why: &str| {
            wrong.push(Wrong { severity: Severity::Doubt, item: Some(index), why: why.to_owned() });
        };
        let known: Vec<_> = item.split_whitespace().map(protocol_number).collect();
        if known.is_empty() || known.contains(&None) {
            doubt("it is not one of tcp, udp, sctp, and is left out");
        } else if known.len() > 1 {
            doubt("there are no commas between its parts; it is read as if there were");
        }
        numbers.extend(known.into_iter().flatten());
    }
    Reading { value: Some(ProtocolFilter::only(&numbers)), wrong }
}

fn protocol_number(name: &str) -> Option<u8> {
    PROTOCOLS
        .into_iter()
        .find(|(word, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, number)| number)
}

/// The protocols of Antrea's filter.
pub(super) const PROTOCOLS: [(&str, u8); 3] =
    [("tcp", protocol::TCP), ("udp", protocol::UDP), ("sctp", protocol::SCTP)];
