//! What is asked of the store, and whether a record answers it.

use std::convert::Infallible;
use std::str::FromStr;

use flow::{Endpoint, FlowRecord, FlowType};
use ipnet::IpNet;

use super::layout::Window;

/// Which records are wanted. What is `None` does not matter; the rest must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Inserted at this time or later, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Inserted before this time.
    pub until_ms: Option<u64>,
    /// The Pod at either end.
    pub pod: Option<PodName>,
    /// The namespace of the Pod at either end.
    pub namespace: Option<String>,
    pub service: Option<ServiceName>,
    /// Where the address of either end lies.
    pub ip: Option<IpNet>,
    /// The port of either end or of the Service.
    pub port: Option<u16>,
    pub flow_type: Option<FlowType>,
    /// At most so many records or flows.
    pub limit: Option<usize>,
}

impl Query {
    pub(crate) fn window(&self) -> Window {
        Window { since_ms: self.since_ms, until_ms: self.until_ms }
    }

    /// Whether anything but time and number restricts the answer.
    pub(crate) fn is_filtered(&self) -> bool {
        let Self { pod, namespace, service, ip, port, flow_type, .. } = self;
        pod.is_some()
            || namespace.is_some()
            || service.is_some()
            || ip.is_some()
            || port.is_some()
            || flow_type.is_some()
    }

    /// Whether the record is wanted, its time aside.
    pub(crate) fn matches(&self, record: &FlowRecord) -> bool {
        let key = &record.key;
        let ends = [&record.source, &record.destination];
        wanted(self.flow_type.as_ref(), |wanted| *wanted == record.flow_type)
            && wanted(self.port.as_ref(), |port| {
                [key.source_port, key.destination_port, record.service.port].contains(port)
            })
            && wanted(self.ip.as_ref(), |net| {
                [key.source, key.destination].iter().any(|it| net.contains(&it.to_canonical()))
            })
            && wanted(self.namespace.as_ref(), |namespace| {
                ends.iter().any(|end| end.namespace.as_str() == namespace)
            })
            && wanted(self.pod.as_ref(), |pod| ends.iter().any(|end| pod.is(end)))
            && wanted(self.service.as_ref(), |service| service.is(&record.service.name))
    }

    /// Sets what [`Query::matches`] looks at to something else than the default, which tells the
    /// columns that are needed.
    pub(crate) fn touch(&self, record: &mut FlowRecord) {
        if self.flow_type.is_some() {
            record.flow_type = FlowType::IntraNode;
        }
        if self.port.is_some() {
            record.key.source_port = 1;
            record.key.destination_port = 1;
            record.service.port = 1;
        }
        if self.ip.is_some() {
            record.key.source = std::net::Ipv6Addr::LOCALHOST.into();
            record.key.destination = record.key.source;
        }
        for end in [&mut record.source, &mut record.destination] {
            if self.pod.is_some() {
                end.pod = "x".into();
            }
            if self.pod.is_some() || self.namespace.is_some() {
                end.namespace = "x".into();
            }
        }
        if self.service.is_some() {
            record.service.name = "x".into();
        }
    }
}

fn wanted<T>(condition: Option<&T>, holds: impl FnOnce(&T) -> bool) -> bool {
    condition.is_none_or(holds)
}

/// A Pod as people write it: `name` or `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    namespace: Option<String>,
    name: String,
}

impl PodName {
    fn is(&self, end: &Endpoint) -> bool {
        end.pod.as_str() == self.name
            && wanted(self.namespace.as_ref(), |namespace| end.namespace.as_str() == namespace)
    }
}

impl FromStr for PodName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (namespace, name) = split_namespace(text);
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

/// A Service as people write it: `name` or `namespace/name`, both with or without `:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    namespace: Option<String>,
    name: String,
    port: Option<String>,
}

impl ServiceName {
    /// Compares with a record's `namespace/name:portName`.
    fn is(&self, stored: &str) -> bool {
        let (namespace, name, port) = split_service(stored);
        name == self.name
            && wanted(self.namespace.as_ref(), |wanted| namespace == Some(wanted.as_str()))
            && wanted(self.port.as_ref(), |wanted| port == Some(wanted.as_str()))
    }
}

impl FromStr for ServiceName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (namespace, name, port) = split_service(text);
        let [namespace, port] = [namespace, port].map(|part| part.map(str::to_owned));
        Ok(Self { namespace, name: name.to_owned(), port })
    }
}

fn split_namespace(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    }
}

fn split_service(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let (namespace, rest) = split_namespace(text);
    match rest.split_once(':') {
        Some((name, port)) => (namespace, name, Some(port)),
        None => (namespace, rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// web-0 in shop asks the Service db/postgres:sql, behind which is postgres-0 in db.
    fn record() -> FlowRecord {
        let mut record = FlowRecord { flow_type: FlowType::InterNode, ..FlowRecord::default() };
        record.source = end("web-0", "shop");
        record.destination = end("postgres-0", "db");
        record.service.name = "db/postgres:sql".into();
        record.service.port = 5432;
        record.key.source = "10.10.0.7".parse().unwrap();
        record.key.destination = "fd00::9".parse().unwrap();
        record.key.source_port = 40_000;
        record.key.destination_port = 15_432;
        record
    }

    fn end(pod: &str, namespace: &str) -> flow::Shared<Endpoint> {
        let (pod, namespace) = (pod.into(), namespace.into());
        Endpoint { pod, namespace, node: "node-1".into(), ..Endpoint::default() }.into()
    }

    #[track_caller]
    fn check(expected: bool, change: impl FnOnce(&mut Query)) {
        let mut query = Query::default();
        change(&mut query);
        assert_eq!(query.matches(&record()), expected, "{query:?}");
    }

    #[test]
    fn a_pod_is_named_with_or_without_its_namespace() {
        for (text, expected) in [
            ("web-0", true),
            ("postgres-0", true),
            ("shop/web-0", true),
            ("db/web-0", false),
            ("web", false),
            ("", false),
        ] {
            check(expected, |query| query.pod = text.parse().ok());
        }
    }

    #[test]
    fn a_service_is_named_with_or_without_its_namespace_and_port() {
        for (text, expected) in [
            ("postgres", true),
            ("postgres:sql", true),
            ("db/postgres", true),
            ("db/postgres:sql", true),
            ("shop/postgres", false),
            ("postgres:metrics", false),
            ("sql", false),
        ] {
            check(expected, |query| query.service = text.parse().ok());
        }
    }

    #[test]
    fn either_end_is_enough() {
        for (net, expected) in
            [("10.10.0.0/16", true), ("fd00::/8", true), ("10.10.0.8/32", false), ("::/0", true)]
        {
            check(expected, |query| query.ip = net.parse().ok());
        }
        for (port, expected) in [(40_000, true), (15_432, true), (5432, true), (80, false)] {
            check(expected, |query| query.port = Some(port));
        }
        for (namespace, expected) in [("shop", true), ("db", true), ("web-0", false)] {
            check(expected, |query| query.namespace = Some(namespace.to_owned()));
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        check(true, |_| ());
        check(true, |query| {
            query.flow_type = Some(FlowType::InterNode);
            query.port = Some(5432);
        });
        check(false, |query| {
            query.flow_type = Some(FlowType::IntraNode);
            query.port = Some(5432);
        });
    }
}
