//! Tables as others made them, and flows in them.

use tests::clickhouse::ANTREA_COLUMNS;

use crate::Database;

/// A schema of somebody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Older {
    pub(crate) database: &'static str,
    /// The table.
    pub(crate) name: &'static str,
    /// What it is called afterwards.
    pub(crate) kept_as: &'static str,
    /// Columns behind the first 48, in order.
    more: &'static [&'static str],
    views: Views,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Views {
    /// Materialized views with rows of their own.
    Inner,
    /// With target tables.
    Targets,
}

const fn older(
    database: &'static str,
    name: &'static str,
    kept_as: &'static str,
    more: &'static [&'static str],
    views: Views,
) -> Older {
    Older { database, name, kept_as, more, views }
}

/// By what is known of Theia's and Antrea's tables: a table that was migrated has its columns in
/// another order than one that was made anew.
#[rustfmt::skip] // one schema, one line
pub(crate) const ALL: [Older; 11] = [
    older("theia_0_1", "flows", "flows_theia_0_1", &["trusted"], Views::Inner),
    older("theia_0_2", "flows_local", "flows_local_theia_0_1", &["trusted"], Views::Inner),
    older("theia_0_3_fresh", "flows_local", "flows_local_theia_0_3", &["clusterUUID", "trusted"], Views::Inner),
    older("theia_0_4_migrated", "flows_local", "flows_local_theia_0_3", &["trusted", "clusterUUID"], Views::Inner),
    older("theia_0_6_migrated", "flows_local", "flows_local_theia_0_7", &["trusted", "clusterUUID", "egressName", "egressIP"], Views::Targets),
    older("theia_0_8_fresh", "flows_local", "flows_local_theia_0_7", &["clusterUUID", "egressName", "egressIP", "trusted"], Views::Targets),
    older("theia_repaired", "flows_local", "flows_local_antrea_2_6", &["clusterUUID", "egressName", "egressIP", "trusted", "egressNodeName"], Views::Targets),
    older("antrea_1_15", "flows", "flows_antrea_1_15", &["clusterUUID", "trusted", "egressName", "egressIP", "appProtocolName", "httpVals"], Views::Inner),
    older("antrea_2_0", "flows", "flows_antrea_2_0", &["clusterUUID", "trusted", "egressName", "egressIP", "appProtocolName", "httpVals", "egressNodeName"], Views::Inner),
    older("antrea_2_5", "flows", "flows_antrea_2_0", &["clusterUUID", "egressName", "egressIP", "appProtocolName", "httpVals", "egressNodeName"], Views::Inner),
    older("antrea_e2e", "flows", "flows_antrea_2_6", &["clusterUUID", "trusted", "egressName", "egressIP", "egressNodeName"], Views::Inner),
];

impl Older {
    pub(crate) fn of(database: &str) -> Self {
        *ALL.iter().find(|older| older.database == database).unwrap()
    }

    /// Names and types.
    pub(crate) fn columns(self) -> Vec<(&'static str, &'static str)> {
        let kind = |name: &&'static str| {
            let known = ANTREA_COLUMNS.iter().find(|(column, _)| column == name);
            known.copied().unwrap_or((name, "String"))
        };
        ANTREA_COLUMNS[..48].iter().copied().chain(self.more.iter().map(kind)).collect()
    }

    /// Makes the tables, with flows of a past day and of today, of so many hours of each.
    pub(crate) fn make(self, database: &Database<'_>, rows: u64, hours: u64) {
        let Self { name, .. } = self;
        database.ask(&format!("CREATE DATABASE IF NOT EXISTS `{}`", database.name));
        let columns: Vec<_> =
            self.columns().iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        database.ask(&format!(
            "CREATE TABLE DB.{name} ({}) ENGINE = MergeTree ORDER BY (timeInserted, flowEndSeconds) \
             TTL timeInserted + INTERVAL 90 DAY SETTINGS merge_with_ttl_timeout = 3600",
            columns.join(", ")
        ));
        for kind in ["pod", "node", "policy"] {
            let select = format!(
                "SELECT timeInserted, flowEndSeconds, sourcePodNamespace, \
                 sum(octetDeltaCount) AS octetDeltaCount FROM DB.{name} \
                 GROUP BY timeInserted, flowEndSeconds, sourcePodNamespace"
            );
            let engine =
                "SummingMergeTree ORDER BY (timeInserted, flowEndSeconds, sourcePodNamespace)";
            database.ask(&match self.views {
                Views::Inner => {
                    format!("CREATE MATERIALIZED VIEW DB.flows_{kind}_view ENGINE = {engine} AS {select}")
                }
                Views::Targets => format!(
                    "CREATE TABLE DB.{kind}_view_table_local (timeInserted DateTime, \
                     flowEndSeconds DateTime, sourcePodNamespace String, octetDeltaCount UInt64) \
                     ENGINE = {engine}"
                ),
            });
            if self.views == Views::Targets {
                database.ask(&format!(
                    "CREATE MATERIALIZED VIEW DB.flows_{kind}_view_local \
                     TO DB.{kind}_view_table_local AS {select}"
                ));
            }
        }
        self.fill(database, rows, hours);
    }

    /// Makes what stands in front of the table and of its views on many servers, as Theia does: one
    /// that a sharding key spreads over a cluster of the engine.
    pub(crate) fn make_front(self, database: &Database<'_>, cluster: &str, key: &str) {
        let mut fronts = vec![("flows".to_owned(), self.name.to_owned())];
        if self.views == Views::Targets {
            let view = |kind| (format!("flows_{kind}_view"), format!("flows_{kind}_view_local"));
            fronts.extend(["pod", "node", "policy"].map(view));
        }
        for (front, local) in fronts {
            let key = if front == "flows" { key } else { "rand()" };
            database.ask(&format!(
                "CREATE TABLE DB.{front} AS DB.{local} \
                 ENGINE = Distributed('{cluster}', '{}', '{local}', {key})",
                database.name
            ));
        }
    }

    /// Flows like those of Antrea's writer: few names, many addresses and numbers.
    fn fill(self, database: &Database<'_>, rows: u64, hours: u64) {
        let columns = self.columns();
        let values: Vec<_> = columns.iter().map(|(name, kind)| value(name, kind, hours)).collect();
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        database.ask(&format!(
            "INSERT INTO DB.{} ({}) SELECT {} FROM numbers({rows})",
            self.name,
            names.join(", "),
            values.join(", ")
        ));
    }

    /// What the engine makes of all rows of a table, column by column.
    pub(crate) fn fingerprint(self, database: &Database<'_>, table: &str) -> String {
        let columns: Vec<_> = self
            .columns()
            .iter()
            .map(|(name, _)| format!("sum(cityHash64(toString({name})))"))
            .collect();
        database.ask(&format!("SELECT count(), {} FROM DB.{table}", columns.join(", ")))
    }
}

/// Rows of some hours of a past day, and of this one.
fn value(name: &str, kind: &str, hours: u64) -> String {
    let hash = |of: u64| format!("cityHash64(number, '{name}') % {of}");
    let inserted = format!("now() - (number % 2) * 172800 - intDiv(number, 2) % {hours} * 3600");
    match (name, kind) {
        ("timeInserted", _) => inserted,
        ("flowEndSeconds", _) => format!("{inserted} - number % 90"),
        ("flowStartSeconds", _) => format!("{inserted} - 600"),
        (_, "DateTime") => format!("now() - {}", hash(400_000)),
        ("sourceIP" | "destinationIP", _) => format!("concat('10.0.0.', toString({}))", hash(250)),
        (_, "String") => format!("concat('it''s-', toString({}))", hash(5)),
        (_, "UInt16") => hash(60_000),
        (_, "UInt64") => hash(1_000_000),
        _ => hash(4),
    }
}
