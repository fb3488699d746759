//! Which rows, by what they say.

use std::net::IpAddr;

use flow::FlowType;
use ipnet::IpNet;
use store::query::{Column, Comparison, Condition, Glob, Kind, Predicate, TextTest};

/// In names, `*` and `?` stand for others.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only flows from or to this Pod: NAME or NAMESPACE/NAME
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    /// Only flows from or to Pods of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only flows through this Service, such as db, shop/db or shop/db:http
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Only flows from or to this address or network, such as 10.10.0.7 or 10.10.0.0/16
    #[arg(long, value_name = "CIDR", value_parser = network)]
    ip: Option<IpNet>,
    /// Only flows with this port at either end or of the Service
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Only flows of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = flow_type_parser())]
    flow_type: Option<FlowType>,
    /// Only rows with this value: a number, a name in which * and ? stand for others, an address or
    /// a network. Given again, all must hold
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = condition)]
    conditions: Vec<Condition>,
}

/// What the names of both ends' columns begin with.
const ENDS: [&str; 2] = ["source", "destination"];

impl FilterArgs {
    pub(crate) fn predicate(&self) -> Predicate {
        let either = |holds: &dyn Fn(&str) -> Predicate| Predicate::Or(ENDS.map(holds).into());
        let named = |name: &String| either(&|end| is_named(&namespace_of(end), name));
        let within = |net: &IpNet| either(&|end| is_within(&format!("{end}IP"), *net));
        let of_type = |wanted: &FlowType| is_number("flowType", *wanted as u64);
        let all = [
            self.pod.as_ref().map(|pod| either(&|end| is_pod(end, pod))),
            self.namespace.as_ref().map(named),
            self.service.as_ref().map(|service| is_service(service)),
            self.ip.as_ref().map(within),
            self.port.map(is_port),
            self.flow_type.as_ref().map(of_type),
        ];
        let conditions = self.conditions.iter().cloned().map(Predicate::from);
        Predicate::And(all.into_iter().flatten().chain(conditions).collect())
    }
}

/// A condition on a column, by its name.
fn on(column: &str, condition: impl FnOnce(Column) -> Condition) -> Predicate {
    Column::by_name(column).map_or(Predicate::Or(Vec::new()), |column| condition(column).into())
}

fn is_named(column: &str, name: &str) -> Predicate {
    on(column, |column| Condition::Text { column, test: text(name) })
}

fn is_within(column: &str, net: IpNet) -> Predicate {
    on(column, |column| Condition::AddressIn { column, ranges: vec![net.into()] })
}

fn is_number(column: &str, value: u64) -> Predicate {
    let comparison = Comparison::Equal;
    on(column, |column| Condition::Number { column, comparison, value })
}

fn is_port(port: u16) -> Predicate {
    let columns = ["sourceTransportPort", "destinationTransportPort", "destinationServicePort"];
    Predicate::Or(columns.map(|column| is_number(column, port.into())).into())
}

fn is_pod(end: &str, pod: &str) -> Predicate {
    let is_called = |name| is_named(&format!("{end}PodName"), name);
    match pod.split_once('/') {
        Some((namespace, name)) => {
            Predicate::And(vec![is_named(&namespace_of(end), namespace), is_called(name)])
        }
        None => is_called(pod),
    }
}

fn namespace_of(end: &str) -> String {
    format!("{end}PodNamespace")
}

/// Services are stored as `namespace/name:port`, or with less than that.
fn is_service(service: &str) -> Predicate {
    let mut names = vec![service.to_owned()];
    if !service.contains('/') {
        names.push(format!("*/{service}"));
    }
    if !service.contains(':') {
        names.extend(names.clone().into_iter().map(|name| name + ":*"));
    }
    let any = names.iter().map(|name| is_named("destinationServicePortName", name));
    Predicate::Or(any.collect())
}

fn text(name: &str) -> TextTest {
    if name.contains(['*', '?']) {
        TextTest::Glob(Glob::new(name))
    } else {
        TextTest::Equals(name.to_owned())
    }
}

/// Reads an address or a network.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpAddr>()
        .map(IpNet::from)
        .or_else(|_| text.parse::<IpNet>())
        .map_err(|_| "expected an address or a network, such as 10.10.0.7 or fd00::/8".to_owned())
}

fn flow_type_parser() -> impl clap::builder::TypedValueParser<Value = FlowType> {
    use clap::builder::TypedValueParser;

    const TYPES: [FlowType; 4] =
        [FlowType::IntraNode, FlowType::InterNode, FlowType::ToExternal, FlowType::FromExternal];
    clap::builder::PossibleValuesParser::new(TYPES.map(FlowType::name))
        .map(|name| TYPES.into_iter().find(|known| known.name() == name).unwrap_or_default())
}

fn condition(condition: &str) -> Result<Condition, String> {
    let (name, value) = condition.split_once('=').ok_or("expected COLUMN=VALUE")?;
    let column = Column::by_name(name)
        .ok_or_else(|| format!("there is no column {name}; docs/store.md lists them"))?;
    match column.kind() {
        Kind::Number | Kind::Port | Kind::Time => {
            let value = value.parse().map_err(|_| format!("{name} holds numbers"))?;
            Ok(Condition::Number { column, comparison: Comparison::Equal, value })
        }
        Kind::Address => {
            let net = network(value).map_err(|_| format!("{name} holds addresses"))?;
            Ok(Condition::AddressIn { column, ranges: vec![net.into()] })
        }
        Kind::Text => Ok(Condition::Text { column, test: text(value) }),
        Kind::Labels => Err(format!("{name} cannot be asked for like this")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use flow::{Endpoint, FlowRecord};
    use store::Row;
    use store::query::holds;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        filter: FilterArgs,
    }

    /// web-0 in shop asks the Service db/postgres:sql, behind which is postgres-0 in db.
    fn row() -> Row {
        let mut record = FlowRecord { flow_type: FlowType::InterNode, ..FlowRecord::default() };
        let end = |pod: &str, namespace: &str| {
            let (pod, namespace) = (pod.into(), namespace.into());
            Endpoint { pod, namespace, ..Endpoint::default() }.into()
        };
        (record.source, record.destination) = (end("web-0", "shop"), end("postgres-0", "db"));
        (record.service.name, record.service.port) = ("db/postgres:sql".into(), 5432);
        record.key.source = "10.10.0.7".parse().unwrap();
        record.key.destination = "fd00::9".parse().unwrap();
        (record.key.source_port, record.key.destination_port) = (40_000, 15_432);
        Row { inserted_ms: 0, record }
    }

    #[test]
    fn whatever_is_asked_for_must_hold_at_either_end() {
        let (row, mut bare) = (row(), row());
        bare.record.service.name = "postgres".into();
        for (args, expected) in [
            (&[][..], true),
            (&["--pod=web-0"], true),
            (&["--pod=postgres-0"], true),
            (&["--pod=shop/web-0"], true),
            (&["--pod=db/web-0"], false),
            (&["--pod=web"], false),
            (&["--pod=web-*"], true),
            (&["--pod="], false),
            (&["--namespace=shop"], true),
            (&["--namespace=db"], true),
            (&["--namespace=web-0"], false),
            (&["--service=postgres"], true),
            (&["--service=postgres:sql"], true),
            (&["--service=db/postgres"], true),
            (&["--service=db/postgres:sql"], true),
            (&["--service=shop/postgres"], false),
            (&["--service=postgres:metrics"], false),
            (&["--service=sql"], false),
            (&["--ip=10.10.0.0/16"], true),
            (&["--ip=fd00::/8"], true),
            (&["--ip=::/0"], true),
            (&["--ip=10.10.0.8"], false),
            (&["--port=40000"], true),
            (&["--port=15432"], true),
            (&["--port=5432"], true),
            (&["--port=80"], false),
            (&["--type=inter-node", "--port=5432"], true),
            (&["--type=intra-node", "--port=5432"], false),
            (&["--where=destinationServicePort=5432", "--where=sourcePodName=web?0"], true),
            (&["--where=destinationServicePort=5433", "--where=sourcePodName=web?0"], false),
        ] {
            let filter = Command::parse_from([&["x"], args].concat()).filter.predicate();
            assert_eq!(holds(&filter, &row), expected, "{args:?}");
        }
        for (service, expected) in
            [("postgres", true), ("postgres:sql", false), ("db/postgres", false)]
        {
            let filter = Command::parse_from(["x", "--service", service]).filter.predicate();
            assert_eq!(holds(&filter, &bare), expected, "{service}, of one without a namespace");
        }
    }
}
