//! Seven questions that a page of flows asks.

use serde_json::{Value, json};
use store::query::{
    Aggregate, Column, Comparison, Condition, Function, Glob, GroupOrder, Grouping, Key, Limits,
    Listing, Predicate, Query, Range, RowOrder, TextTest, Wanted,
};

use crate::data::{BEGIN_MS, HOURS};

const HOUR_MS: u64 = 3_600_000;
const END_MS: u64 = BEGIN_MS + HOURS * HOUR_MS;

pub(crate) const NAMES: [&str; 7] = [
    "top pairs of Pods",
    "ns to ns to Service",
    "series, 10 minutes",
    "series by ns, last hour",
    "one app, last 15 minutes",
    "one app and port",
    "for policy recommendation",
];

fn column(name: &str) -> Column {
    Column::by_name(name).unwrap()
}

fn keys(names: &[&str]) -> Vec<Key> {
    names.iter().map(|name| Key::Column(column(name))).collect()
}

fn sums() -> Vec<Aggregate> {
    vec![Function::Sum(column("octetDeltaCount")).into()]
}

fn groups(keys: Vec<Key>, aggregates: Vec<Aggregate>, limit: usize) -> Wanted {
    let order = GroupOrder::Aggregate { index: 0, descending: true };
    Wanted::Groups(Grouping { keys, aggregates, order, limit, others: false })
}

fn query(since_ms: u64, filter: Predicate, wanted: Wanted) -> Query {
    let range = Range { since_ms, until_ms: END_MS };
    Query { range, as_of_ms: None, filter, wanted, limits: Limits::default() }
}

fn rows() -> Wanted {
    let columns = [
        "flowEndMilliseconds",
        "sourcePodNamespace",
        "sourcePodName",
        "destinationPodNamespace",
        "destinationPodName",
        "destinationTransportPort",
        "octetDeltaCount",
        "reverseOctetDeltaCount",
    ];
    Wanted::Rows(Listing {
        columns: columns.map(column).into(),
        order: RowOrder::NewestFirst,
        limit: 100,
        after: None,
    })
}

fn app() -> Predicate {
    let test = TextTest::Glob(Glob::new("app-42-*"));
    Condition::Text { column: column("sourcePodName"), test }.into()
}

fn port() -> Predicate {
    let (column, value) = (column("destinationTransportPort"), 5432);
    Condition::Number { column, comparison: Comparison::Equal, value }.into()
}

pub(crate) fn queries() -> Vec<(&'static str, Query)> {
    let all = |wanted| query(0, Predicate::TRUE, wanted);
    let pairs = keys(&["sourcePodName", "destinationPodName"]);
    let mut pair_sums = sums();
    pair_sums.push(Function::Sum(column("reverseOctetDeltaCount")).into());
    pair_sums.push(Function::Count.into());
    let sankey =
        keys(&["sourcePodNamespace", "destinationPodNamespace", "destinationServicePortName"]);
    let times = vec![Key::Time { step_ms: 600_000 }];
    let mut by_namespace = keys(&["sourcePodNamespace"]);
    by_namespace.push(Key::Time { step_ms: 60_000 });
    let recommended = keys(&[
        "sourcePodNamespace",
        "sourcePodLabels",
        "destinationPodNamespace",
        "destinationPodLabels",
        "destinationTransportPort",
        "protocolIdentifier",
    ]);
    let counts = vec![Function::Count.into(), sums().remove(0)];
    let tables = [
        all(groups(pairs, pair_sums, 10)),
        all(groups(sankey, sums(), 1000)),
        query(BEGIN_MS, Predicate::TRUE, groups(times, sums(), 1)),
        query(END_MS - HOUR_MS, Predicate::TRUE, groups(by_namespace, sums(), 1000)),
        query(END_MS - HOUR_MS / 4, app(), rows()),
        query(0, Predicate::And(vec![app(), port()]), rows()),
        all(groups(recommended, counts, 1000)),
    ];
    NAMES.into_iter().zip(tables).collect()
}

/// The same in SQL. `{last N}` is a condition on the last N milliseconds, `{bucket N}` the interval
/// of so many in which a flow ended.
pub(crate) fn sql() -> Value {
    let rows = "select \"flowEndMilliseconds\", \"sourcePodNamespace\", \"sourcePodName\", \
        \"destinationPodNamespace\", \"destinationPodName\", \"destinationTransportPort\", \
        \"octetDeltaCount\", \"reverseOctetDeltaCount\" from flows";
    let order = "order by \"flowEndMilliseconds\" desc, \"flowId\" desc limit 100";
    let app = "\"sourcePodName\" like 'app-42-%'";
    let last = |ms: u64| format!("\"flowEndMilliseconds\" >= {{time {}}}", END_MS - ms);
    let octets = "sum(\"octetDeltaCount\") as octets";
    // How many groups there are is told as well, as the store does.
    let top = |keys: &str, aggregates: &str, condition: &str, limit: usize| {
        format!(
            "select *, count(*) over () as all_groups from (select {keys}, {aggregates} from flows \
             {condition} group by {keys}) as g order by octets desc limit {limit}"
        )
    };
    let bucket =
        |ms: u64| format!("select {{bucket {ms}}} as bucket, {octets} from flows group by 1");
    json!({
        NAMES[0]: top(
            "\"sourcePodName\", \"destinationPodName\"",
            "sum(\"octetDeltaCount\") as octets, sum(\"reverseOctetDeltaCount\") as back, count(*) as n",
            "", 10,
        ),
        NAMES[1]: top(
            "\"sourcePodNamespace\", \"destinationPodNamespace\", \"destinationServicePortName\"",
            octets, "", 1000,
        ),
        NAMES[2]: bucket(600_000),
        NAMES[3]: format!(
            "select \"sourcePodNamespace\", {{bucket 60000}} as bucket, {octets} from flows \
             where {} group by 1, 2", last(HOUR_MS),
        ),
        NAMES[4]: format!("{rows} where {app} and {} {order}", last(HOUR_MS / 4)),
        NAMES[5]: format!("{rows} where {app} and \"destinationTransportPort\" = 5432 {order}"),
        NAMES[6]: format!(
            "select *, count(*) over () as all_groups from (select \"sourcePodNamespace\", \
             \"sourcePodLabels\", \"destinationPodNamespace\", \"destinationPodLabels\", \
             \"destinationTransportPort\", \"protocolIdentifier\", count(*) as n, {octets} \
             from flows group by 1, 2, 3, 4, 5, 6) as g order by n desc limit 1000"
        ),
    })
}
