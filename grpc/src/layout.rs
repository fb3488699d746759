//! Which attribute is where in a `Flow`, from the field table of `flow`.

use std::net::IpAddr;
use std::sync::LazyLock;

use flow::{Access, Field, FlowRecord};

/// A message: what each of its fields is, by number.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) steps: Vec<Step>,
    /// Antrea's collector falls over a message that is not there, so these are sent even if they
    /// are empty.
    pub(crate) is_required: bool,
}

#[derive(Debug, Default)]
pub(crate) enum Step {
    /// Unknown, or of no use here.
    #[default]
    Passed,
    Message(Layout),
    Value(Meaning),
}

/// What a value is, where that is more than its attribute says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// As its attribute.
    Attribute(Access),
    /// A number as decimal text.
    Text { get: fn(&FlowRecord) -> u64, set: fn(&mut FlowRecord, u64) },
    /// A time in milliseconds that is sent even if it is 0.
    Time { get: fn(&FlowRecord) -> u64, set: fn(&mut FlowRecord, u64), is_start: bool },
    /// An address a flow cannot be without. On the wire, 0.0.0.0 is one as well.
    End {
        get: fn(&FlowRecord) -> Option<IpAddr>,
        set: fn(&mut FlowRecord, Option<IpAddr>),
        is_source: bool,
    },
    /// An address as bytes, which an attribute has as text.
    AddressText { get: fn(&FlowRecord) -> &flow::Name, set: fn(&mut FlowRecord, flow::Name) },
    /// A Pod's labels as a message.
    Labels { get: fn(&FlowRecord) -> &flow::Name, set: fn(&mut FlowRecord, flow::Name) },
    /// What is 0 means something, and what is not there nothing.
    Direction { get: fn(&FlowRecord) -> u8 },
    /// The address family of the flow.
    Version,
    /// When the record was sent.
    ExportTime,
    /// The sender's Observation Domain.
    Domain,
}

/// The connection's own id on its Node. Antrea leaves the text empty.
const ID: &[u8] = &[1];
const START: &[u8] = &[3];
const EXPORT_TIME: &[u8] = &[2, 1];
const DOMAIN: &[u8] = &[2, 3];
const VERSION: &[u8] = &[6, 1];
const SOURCE: &[u8] = &[6, 2];
const DESTINATION: &[u8] = &[6, 3];
const EGRESS_IP: &[u8] = &[8, 31];
const DIRECTION: &[u8] = &[12];
/// `ipfix`, `ip`, `transport`, `k8s`, `stats`, `reverse_stats`.
const REQUIRED: [usize; 6] = [2, 6, 7, 8, 9, 10];

/// The message `Flow`.
pub(crate) static FLOW: LazyLock<Layout> = LazyLock::new(|| {
    let mut flow = Layout::default();
    for field in Field::all().filter(|field| !field.path.is_empty()) {
        flow.put(field.path, meaning(field));
    }
    flow.put(EXPORT_TIME, Meaning::ExportTime);
    flow.put(DOMAIN, Meaning::Domain);
    flow.put(VERSION, Meaning::Version);
    for number in REQUIRED {
        if let Some(Step::Message(message)) = flow.steps.get_mut(number) {
            message.is_required = true;
        }
    }
    flow
});

fn meaning(field: &Field) -> Meaning {
    match (field.path, field.access) {
        (ID, Access::U64 { get, set }) => Meaning::Text { get, set },
        ([_], Access::Milliseconds { get, set }) => {
            Meaning::Time { get, set, is_start: field.path == START }
        }
        (SOURCE | DESTINATION, Access::Ip { get, set }) => {
            Meaning::End { get, set, is_source: field.path == SOURCE }
        }
        (EGRESS_IP, Access::Name { get, set }) => Meaning::AddressText { get, set },
        (DIRECTION, Access::U8 { get, .. }) => Meaning::Direction { get },
        (_, Access::Labels { get, set }) => Meaning::Labels { get, set },
        (_, access) => Meaning::Attribute(access),
    }
}

impl Layout {
    fn put(&mut self, path: &[u8], meaning: Meaning) {
        let [number, within @ ..] = path else { return };
        let number = usize::from(*number);
        if self.steps.len() <= number {
            self.steps.resize_with(number + 1, Step::default);
        }
        let step = &mut self.steps[number];
        if within.is_empty() {
            *step = Step::Value(meaning);
            return;
        }
        if let Step::Passed = step {
            *step = Step::Message(Self::default());
        }
        if let Step::Message(message) = step {
            message.put(within, meaning);
        }
    }
}
