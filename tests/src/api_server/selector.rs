//! Which objects a client asked for: label and field selectors.

use serde_json::Value;

use super::refusal::Refusal;
use super::resources::Resource;

/// What of the objects of a kind a list or watch is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq)]
enum LabelTerm {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Clone, Debug)]
struct FieldTerm {
    /// A JSON pointer.
    pointer: String,
    value: String,
    equal: bool,
}

impl Selector {
    pub(crate) fn parse(labels: &str, fields: &str, of: &Resource) -> Result<Self, Refusal> {
        let labels = terms(labels).map(label_term).collect::<Result<_, _>>()?;
        let fields = terms(fields).map(|term| field_term(term, of)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|term| term.holds(labels))
            && self.fields.iter().all(|term| term.holds(object))
    }

    /// The one name asked for. Access to a named object is checked by that name.
    pub(crate) fn name(&self) -> Option<&str> {
        let is_name = |term: &&FieldTerm| term.equal && term.pointer == "/metadata/name";
        self.fields.iter().find(is_name).map(|term| term.value.as_str())
    }
}

impl LabelTerm {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &String| labels.get(key).and_then(Value::as_str);
        match self {
            Self::In(key, among) => value(key).is_some_and(|value| contains(among, value)),
            Self::NotIn(key, among) => !value(key).is_some_and(|value| contains(among, value)),
            Self::Exists(key) => value(key).is_some(),
            Self::Absent(key) => value(key).is_none(),
        }
    }
}

fn contains(among: &[String], value: &str) -> bool {
    among.iter().any(|one| one == value)
}

impl FieldTerm {
    fn holds(&self, object: &Value) -> bool {
        let is = match object.pointer(&self.pointer) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Null) | None => self.value.is_empty(),
            Some(other) => format!("{other}") == self.value,
        };
        is == self.equal
    }
}

/// The parts between commas, but for commas in parentheses.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn label_term(term: &str) -> Result<LabelTerm, Refusal> {
    let among = |text: &str| -> Option<Vec<String>> {
        let inside = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let malformed = || Refusal::bad_request(format!("unable to parse requirement: {term}"));
    if let Some((key, values)) = term.split_once(" notin ") {
        let values = among(values).ok_or_else(malformed)?;
        return Ok(LabelTerm::NotIn(key.trim().to_owned(), values));
    }
    if let Some((key, values)) = term.split_once(" in ") {
        let values = among(values).ok_or_else(malformed)?;
        return Ok(LabelTerm::In(key.trim().to_owned(), values));
    }
    if let Some((key, value, equal)) = comparison(term) {
        let among = vec![value.to_owned()];
        return Ok(if equal {
            LabelTerm::In(key.to_owned(), among)
        } else {
            LabelTerm::NotIn(key.to_owned(), among)
        });
    }
    Ok(match term.strip_prefix('!') {
        Some(key) => LabelTerm::Absent(key.trim().to_owned()),
        None => LabelTerm::Exists(term.to_owned()),
    })
}

fn field_term(term: &str, of: &Resource) -> Result<FieldTerm, Refusal> {
    let Some((field, value, equal)) = comparison(term) else {
        return Err(Refusal::bad_request(format!("invalid field selector: {term}")));
    };
    let always = ["metadata.name", "metadata.namespace"];
    if !always.contains(&field) && !of.fields.contains(&field) {
        return Err(Refusal::bad_request(format!("field label not supported: {field}")));
    }
    let pointer = format!("/{}", field.replace('.', "/"));
    Ok(FieldTerm { pointer, value: value.to_owned(), equal })
}

/// `a=b`, `a==b` and `a!=b`; whether it is equality.
fn comparison(term: &str) -> Option<(&str, &str, bool)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key.trim(), value.trim(), false));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some((key.trim(), value.trim(), true))
}
