//! How the values are read that only a listed destination has.

use config::{Raw, Reading, Severity, Wrong, read};
use flow::{FlowType, Name};
use ipnet::IpNet;

use crate::destination::{
    Compatibility, Directions, LabelSelector, Redaction, STATIC, Spec, TlsVersion,
};

/// Kubernetes' limit for a label, which a metric's should not exceed either.
const LONGEST_NAME: usize = 63;
/// Items of one list.
const MOST_ITEMS: usize = 256;

pub(super) fn name(raw: &Raw, others: &[Spec]) -> Result<String, &'static str> {
    let name = read::text(raw)?;
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.len() > LONGEST_NAME || !name.bytes().all(is_plain) {
        return Err("it is no such name");
    }
    if name == STATIC {
        return Err("this is the destination of flowCollectorAddr");
    }
    if others.iter().any(|other| other.name == name) {
        return Err("another destination has this name");
    }
    Ok(name.to_owned())
}

pub(super) const fn compatibility_word(compatibility: Compatibility) -> &'static str {
    match compatibility {
        Compatibility::Antrea => "antrea",
        Compatibility::Ipfix => "ipfix",
    }
}

pub(super) fn compatibility(raw: &Raw) -> Result<Compatibility, &'static str> {
    let word = read::text(raw)?;
    let known = [Compatibility::Antrea, Compatibility::Ipfix];
    known.into_iter().find(|it| compatibility_word(*it) == word).ok_or("it is neither")
}

pub(super) fn tls_version(raw: &Raw) -> Result<TlsVersion, &'static str> {
    let word = read::text(raw)?;
    let known = [TlsVersion::Tls12, TlsVersion::Tls13];
    known.into_iter().find(|it| it.word() == word).ok_or("it is neither")
}

pub(super) fn namespaces(raw: &Raw) -> Reading<Vec<Name>> {
    // RFC 1123's labels, as Kubernetes has it.
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    items(raw, "it is no namespace's name", |item| {
        let is_name = (1..=LONGEST_NAME).contains(&item.len()) && item.bytes().all(is_plain);
        is_name.then(|| Name::from(item))
    })
}

pub(super) fn pod_labels(raw: &Raw) -> Result<LabelSelector, String> {
    LabelSelector::parse(read::text(raw)?)
}

pub(super) fn networks(raw: &Raw) -> Reading<Vec<IpNet>> {
    let why = "it is no network: an address, a slash and a number of bits, and no bits beyond them";
    items(raw, why, |item| item.parse::<IpNet>().ok().filter(|it| it.network() == it.addr()))
}

pub(super) fn ports(raw: &Raw) -> Reading<Vec<u16>> {
    items(raw, "it is no port", |item| {
        let is_number = item.bytes().all(|byte| byte.is_ascii_digit());
        item.parse().ok().filter(|port| is_number && *port > 0)
    })
}

pub(super) fn directions(raw: &Raw) -> Reading<Directions> {
    let words = items(raw, "it is neither ingress nor egress", |item| {
        ["ingress", "egress"].into_iter().find(|word| *word == item)
    });
    let among = |words: &[&str]| Directions {
        ingress: words.contains(&"ingress"),
        egress: words.contains(&"egress"),
    };
    Reading { value: words.value.map(|words| among(&words)), wrong: words.wrong }
}

pub(super) const FLOW_TYPES: [FlowType; 4] =
    [FlowType::IntraNode, FlowType::InterNode, FlowType::ToExternal, FlowType::FromExternal];

pub(super) fn flow_types(raw: &Raw) -> Reading<Vec<FlowType>> {
    items(raw, "it is no flow type", |item| FLOW_TYPES.into_iter().find(|it| it.name() == item))
}

pub(super) fn redaction(raw: &Raw) -> Reading<Redaction> {
    let mut redaction = Redaction::default();
    let Reading { value, wrong } = words(raw);
    let mut reading = Reading { value: None, wrong };
    for (index, name) in value.unwrap_or_default().iter().enumerate() {
        if !redaction.add(name) {
            reading.wrong.push(not_that(index, "no attribute has this name"));
        }
    }
    reading.value = Some(redaction);
    reading
}

/// Reads a list of at least one thing; an empty one would ask for something that nothing is.
fn items<T>(raw: &Raw, why: &str, read: impl Fn(&str) -> Option<T>) -> Reading<Vec<T>> {
    let Reading { value: Some(texts), mut wrong } = words(raw) else {
        return Reading { value: None, wrong: words(raw).wrong };
    };
    if texts.is_empty() {
        return Err::<Vec<T>, _>("it is empty; leave the key out to let everything through").into();
    }
    let mut values = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match read(text) {
            Some(value) => values.push(value),
            None => wrong.push(not_that(index, why)),
        }
    }
    Reading { value: Some(values), wrong }
}

fn words(raw: &Raw) -> Reading<&[String]> {
    match read::list(raw) {
        Ok(items) if items.len() > MOST_ITEMS => {
            Err::<&[String], _>(format!("it has {} items; {MOST_ITEMS} are possible", items.len()))
                .into()
        }
        other => other.into(),
    }
}

fn not_that(index: usize, why: &str) -> Wrong {
    Wrong { severity: Severity::Error, item: Some(index), why: why.to_owned() }
}
