//! One line of `np.log`.
//!
//! Fields are separated by one blank each, and the name of a rule may have blanks of its own. So
//! the four fields before it are read from the front, and the eleven behind it from the end, where
//! each has a form by which it is known. Versions of Antrea before 2.0 write fewer.

use std::net::IpAddr;

use flow::{PolicyRule, protocol};
use jiff::civil::DateTime;

use crate::conntrack::Tuple;
use crate::deny::RuleRef;
use crate::verdict::{Action, Direction};

/// How Antrea writes what has no value.
const NOTHING: &str = "<nil>";
/// Stands for a protocol the Agent has no name for; IANA keeps it for nobody.
const UNKNOWN_PROTOCOL: u8 = 255;

/// A line that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// As the Agent's clock on the wall showed it.
    pub(super) time: DateTime,
    /// With its kind, as in `AntreaNetworkPolicy:ns/name`.
    pub(super) policy: &'a str,
    /// Empty if it has none.
    pub(super) rule: &'a str,
    pub(super) direction: Option<Direction>,
    /// `None` if the packet was not denied.
    pub(super) action: Option<Action>,
    /// Without what tells pings apart, of which nothing is logged.
    pub(super) tuple: Tuple,
    /// Bytes of the first packet.
    pub(super) length: u64,
    pub(super) packets: u64,
}

/// It is no line of the log, or not all of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is written behind the rule.
struct Tail<'a> {
    rule: &'a str,
    direction: Option<Direction>,
    action: Option<Action>,
    ends: [(IpAddr, u16); 2],
    protocol: u8,
    length: u64,
}

/// What became of a packet.
enum Fate {
    Denied(Action),
    Passed,
}

/// Which of the younger fields are written.
#[derive(Clone, Copy)]
struct Form {
    label: bool,
    applied_to: bool,
}

/// The newest first, since an older one could be found in a newer one's fields.
const FORMS: [Form; 4] = [
    Form { label: true, applied_to: true },
    Form { label: false, applied_to: true },
    Form { label: true, applied_to: false },
    Form { label: false, applied_to: false },
];

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Malformed> {
        str::from_utf8(line).ok().and_then(Self::parse).ok_or(Malformed)
    }

    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_end_matches(['\r', '\n']);
        let (line, packets) = repeated(line).unwrap_or((line, 1));
        let mut front = line.splitn(5, ' ');
        let (date, clock) = (front.next()?, front.next()?);
        let time = time(date, clock)?;
        let (table, policy, rest) = (front.next()?, front.next()?, front.next()?);
        let known = FORMS.into_iter().find_map(|form| Tail::read(rest, form));
        let tail = known.or_else(|| Tail::oldest(rest))?;
        let [source, destination] = tail.ends;
        if source.0.is_ipv4() != destination.0.is_ipv4() {
            return None;
        }
        Some(Self {
            time,
            policy,
            rule: if tail.rule == NOTHING { "" } else { tail.rule },
            direction: tail.direction.or_else(|| side(table)),
            action: tail.action,
            tuple: Tuple::new(source, destination, tail.protocol),
            length: tail.length,
            packets,
        })
    }

    /// The rule that denied the packet.
    pub(super) fn rule(&self) -> RuleRef {
        let Some((kind, name)) = self.policy.split_once(':') else {
            return match self.policy {
                "K8sNetworkPolicy" => RuleRef::IsolationDrop,
                _ => RuleRef::Unknown,
            };
        };
        let policy_type = match kind {
            "K8sNetworkPolicy" => 1,
            "AntreaNetworkPolicy" => 2,
            "AntreaClusterNetworkPolicy" => 3,
            "K8sClusterNetworkPolicy" => 4,
            // Among them AdminNetworkPolicy, which Antrea gives no number either.
            _ => 0,
        };
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        let (namespace, name, rule) = (namespace.into(), name.into(), self.rule.into());
        RuleRef::Named(PolicyRule { name, namespace, policy_type, rule, action: 0 })
    }
}

impl<'a> Tail<'a> {
    /// `rule [direction] action priority [applied-to] source port destination port protocol length
    /// [label]`, from the end.
    fn read(rest: &'a str, form: Form) -> Option<Self> {
        let mut back = Backwards(Some(rest));
        if form.label {
            back.next()?;
        }
        let length = back.next()?.parse().ok()?;
        let protocol = protocol(back.next()?)?;
        let to = port(back.next()?)?;
        let destination = (back.next()?.parse().ok()?, to);
        let from = port(back.next()?)?;
        let source = (back.next()?.parse().ok()?, from);
        if form.applied_to {
            back.next()?;
        }
        Self::decided(back, [source, destination], protocol, length)
    }

    /// `action priority SRC: source DEST: destination length protocol`, before Antrea 1.1.
    fn oldest(rest: &'a str) -> Option<Self> {
        let mut back = Backwards(Some(rest));
        let protocol = protocol(back.next()?)?;
        let length = back.next()?.parse().ok()?;
        let destination = (back.next()?.parse().ok()?, 0);
        let to = back.next()?;
        let source = (back.next()?.parse().ok()?, 0);
        let is_oldest = to == "DEST:" && back.next()? == "SRC:";
        is_oldest.then(|| Self::decided(back, [source, destination], protocol, length)).flatten()
    }

    /// What stands before the addresses.
    fn decided(
        mut back: Backwards<'a>,
        ends: [(IpAddr, u16); 2],
        protocol: u8,
        length: u64,
    ) -> Option<Self> {
        let priority = back.next()?;
        if priority != NOTHING && priority.parse::<u32>().is_err() {
            return None;
        }
        let action = match fate(back.next()?)? {
            Fate::Denied(action) => Some(action),
            Fate::Passed => None,
        };
        let mut rule = back.0.unwrap_or_default();
        let mut direction = None;
        if let Some(last) = back.next()
            && matches!(last, "Ingress" | "Egress")
        {
            direction = side(last);
            rule = back.0.unwrap_or_default();
        }
        Some(Self { rule, direction, action, ends, protocol, length })
    }
}

/// The fields of a line from the last to the first; what is left of it is everything before.
struct Backwards<'a>(Option<&'a str>);

impl<'a> Iterator for Backwards<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let (before, last) = match rest.rsplit_once(' ') {
            Some((before, last)) => (Some(before), last),
            None => (None, rest),
        };
        self.0 = before;
        Some(last)
    }
}

/// Takes `[N packets in D]` from the end.
fn repeated(line: &str) -> Option<(&str, u64)> {
    let (line, said) = line.strip_suffix(']')?.rsplit_once(" [")?;
    let (number, duration) = said.split_once(" packets in ")?;
    let packets = number.parse().ok().filter(|&packets| packets > 0)?;
    (!duration.contains(' ')).then_some((line, packets))
}

fn time(date: &str, clock: &str) -> Option<DateTime> {
    let mut date = date.split('/').map(str::parse::<i16>);
    let mut day = || date.next()?.ok();
    let (year, month, day) = (day()?, i8::try_from(day()?).ok()?, i8::try_from(day()?).ok()?);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':').map(str::parse::<i8>);
    let mut part = || clock.next()?.ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    DateTime::new(year, month, day, hour, minute, second, nanoseconds(fraction)?).ok()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() {
        return Some(0);
    }
    let is_number = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let number: i32 = is_number.then(|| fraction.parse().ok()).flatten()?;
    let missing = 9 - u32::try_from(fraction.len()).ok()?;
    number.checked_mul(10_i32.pow(missing))
}

fn fate(word: &str) -> Option<Fate> {
    match word {
        "Drop" => Some(Fate::Denied(Action::Drop)),
        "Reject" => Some(Fate::Denied(Action::Reject)),
        "Allow" | "Redirect" | "Pass" => Some(Fate::Passed),
        _ => None,
    }
}

/// Of a direction, or of the name of a table.
fn side(name: &str) -> Option<Direction> {
    if name.contains("Ingress") {
        Some(Direction::Ingress)
    } else if name.contains("Egress") {
        Some(Direction::Egress)
    } else {
        None
    }
}

fn port(word: &str) -> Option<u16> {
    if word == NOTHING { Some(0) } else { word.parse().ok() }
}

fn protocol(word: &str) -> Option<u8> {
    Some(match word {
        "TCP" => protocol::TCP,
        "UDP" => protocol::UDP,
        "SCTP" => protocol::SCTP,
        "ICMP" => protocol::ICMP,
        "ICMPv6" | "IPv6-ICMP" => protocol::ICMPV6,
        "IGMP" => 2,
        "UnknownProtocol" => UNKNOWN_PROTOCOL,
        word => return word.parse().ok(),
    })
}

#[cfg(test)]
mod tests;
