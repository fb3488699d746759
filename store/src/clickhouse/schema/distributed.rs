//! One table over many servers.

use flow::TableColumn;

use super::{COMMENT, Schema};

/// What stands in front of each table of many servers, and how it is made.
pub(super) fn fronts(schema: &Schema) -> Vec<(String, String)> {
    let Some(cluster) = &schema.place.cluster else { return Vec::new() };
    let front = |local: &str, key: &str| {
        let name = local.strip_suffix("_local").unwrap_or(local);
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {}{} AS {}\nENGINE = Distributed({}, {}, '{local}', {key})\n\
             COMMENT '{COMMENT}'",
            schema.full(name),
            schema.on_cluster(),
            schema.full(local),
            cluster.literal(),
            schema.place.database.literal(),
        );
        (name.to_owned(), create)
    };
    // A flow's rows stay together.
    let by_flow = format!("cityHash64({})", TableColumn::flow_key().join(", "));
    // Nothing is inserted through these: roll-ups are made where the rows are.
    let roll_ups = schema.roll_ups().into_iter().map(|table| front(&table.name, "rand()"));
    [front(&schema.flows().name, &by_flow)].into_iter().chain(roll_ups).collect()
}
