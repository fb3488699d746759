//! Messages as text or JSON.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Instant;

use ::ipfix::decode::{DataRecord, Limits, Session, Summary};
use ::ipfix::message::MessageError;
use ::ipfix::template::{FieldSpecifier, Template, VARIABLE};
use ::ipfix::value::Value;
use serde_json::{Map, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A line per message, Template and field.
    Text,
    /// An object per record.
    Json,
}

impl Format {
    pub(super) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Shows the messages of one Transport Session.
#[derive(Debug)]
pub(super) struct Shown {
    format: Format,
    session: Session<()>,
}

impl Shown {
    pub(super) fn new(format: Format) -> Self {
        Self::within(format, Session::new(Limits::default()))
    }

    pub(super) fn within(format: Format, session: Session<()>) -> Self {
        Self { format, session }
    }

    /// Appends what `message` says to `text`.
    pub(super) fn message(
        &mut self,
        message: &[u8],
        now: Instant,
        text: &mut String,
    ) -> Result<Summary, MessageError> {
        let format = self.format;
        let body = RefCell::new(String::new());
        let summary = self.session.decode_at(
            now,
            message,
            |told| {
                if format == Format::Text {
                    template(told, &mut body.borrow_mut());
                }
            },
            |(), of, told| match format {
                Format::Text => record(of, &told, &mut body.borrow_mut()),
                Format::Json => object(of, &told, &mut body.borrow_mut()),
            },
        );
        if format == Format::Text {
            head(message, &summary, text);
        }
        text.push_str(&body.into_inner());
        summary
    }
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($arguments:tt)*) => {
        writeln!($text, $($arguments)*).unwrap_or_default()
    };
}

fn head(message: &[u8], summary: &Result<Summary, MessageError>, text: &mut String) {
    let length = message.len();
    let Ok(summary) = summary else {
        return line!(text, "message: {length} bytes, malformed");
    };
    let header = summary.header;
    line!(
        text,
        "message: {length} bytes, exported {}, domain {}, sequence number {}",
        time(header.export_time.into(), 0),
        header.domain,
        header.sequence_number,
    );
    for (count, what) in [
        (summary.lost_records, "records lost before it"),
        (summary.sets_without_template, "sets without a template"),
        (summary.templates_refused, "templates refused"),
        (summary.withdrawals, "templates withdrawn"),
    ] {
        if count > 0 {
            line!(text, "  {count} {what}");
        }
    }
    if summary.out_of_order {
        line!(text, "  late, or sent twice");
    }
}

fn template(told: &Template, text: &mut String) {
    let kind = if told.is_options() { "options template" } else { "template" };
    line!(text, "  {kind} {}: {} fields", told.id.get(), told.fields.len());
    for (index, field) in told.fields.iter().enumerate() {
        let scope = if index < usize::from(told.scope_count) { ", scope" } else { "" };
        let length = match field.length {
            VARIABLE => "variable".to_owned(),
            fixed => fixed.to_string(),
        };
        line!(text, "    {} ({}/{}), {length}{scope}", name(*field), field.pen, field.id);
    }
}

fn record(of: &Template, told: &DataRecord<'_>, text: &mut String) {
    line!(text, "  record of template {}", of.id.get());
    for (_, field, bytes) in told.fields() {
        let value = match typed(*field, bytes) {
            Value::Octets(octets) => hex(octets),
            Value::String(string) => format!("{string:?}"),
            value => plain(&json_of(value)),
        };
        line!(text, "    {} = {value}", name(*field));
    }
}

fn object(of: &Template, told: &DataRecord<'_>, text: &mut String) {
    let mut fields = Map::new();
    for (_, field, bytes) in told.fields() {
        let mut key = name(*field);
        // An element may be there more than once (RFC 7011, section 8).
        while fields.contains_key(&key) {
            key.push('+');
        }
        fields.insert(key, json_of(typed(*field, bytes)));
    }
    let object = json!({
        "exportTime": time(told.export_time.into(), 0),
        "observationDomain": told.domain,
        "template": of.id.get(),
        "fields": fields,
    });
    line!(text, "{object}");
}

/// The name of an element, or its numbers if nobody has told us the name.
fn name(field: FieldSpecifier) -> String {
    let numbers = || format!("{}/{}", field.pen, field.id);
    field.element().map_or_else(numbers, |element| element.name.to_owned())
}

fn typed(field: FieldSpecifier, bytes: &[u8]) -> Value<'_> {
    let element = field.element();
    element.map_or(Value::Octets(bytes), |element| Value::decode(element.data_type, bytes))
}

fn json_of(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Octets(octets) => hex(octets).into(),
        Value::Unsigned(number) => number.into(),
        Value::Signed(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(truth) => truth.into(),
        Value::Mac(octets) => octets.map(|octet| format!("{octet:02x}")).join(":").into(),
        Value::String(string) => string.into(),
        Value::Time(since) => time(since.as_secs(), since.subsec_nanos()).into(),
        Value::Ipv4(address) => address.to_string().into(),
        Value::Ipv6(address) => address.to_string().into(),
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap_or_default();
        text
    })
}

/// A time as RFC 3339 has it; one that no calendar has, as seconds.
fn time(seconds: u64, nanoseconds: u32) -> String {
    let parts = i64::try_from(seconds).ok().zip(i32::try_from(nanoseconds).ok());
    let calendar = parts.and_then(|(s, ns)| jiff::Timestamp::new(s, ns).ok());
    calendar.map_or_else(|| format!("{seconds}.{nanoseconds:09}"), |time| time.to_string())
}
