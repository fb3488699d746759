//! Tables of others, and who made them.

use flow::ADDED;

use super::super::found::{Found, FoundTable};
use super::super::schema::Schema;
use super::MigrateError;

/// What a table of flows is called where there are many servers, and at the end of Theia's names.
const LOCAL: &str = "flows_local";

/// A table with flows that somebody else has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// Where it is when it is found.
    pub name: String,
    /// Where it is kept when its rows have been taken over.
    pub kept_as: String,
}

impl Older {
    /// The table of others in this database, if there is one.
    pub fn find(schema: &Schema, found: &Found) -> Result<Option<Self>, MigrateError> {
        let foreign = |name: &str| found.get(name).filter(|table| !table.is_ours());
        // In front of Theia's tables on many servers there is one that has no rows of its own.
        let (name, table) = match (foreign("flows"), foreign(LOCAL)) {
            (Some(table), _) if table.has_rows() => ("flows", table),
            (_, Some(table)) if table.has_rows() => (LOCAL, table),
            (Some(table), _) if schema.place.cluster.is_none() => {
                let engine = table.engine.clone();
                return Err(MigrateError::Unknown { name: "flows".to_owned(), engine });
            }
            _ => return Ok(None),
        };
        if schema.place.cluster.is_some() {
            return Err(MigrateError::Cluster { name: name.to_owned() });
        }
        let first = format!("{name}_{}", version(table));
        let later = (2..10).map(|number| format!("{first}_{number}"));
        let free = [first.clone()].into_iter().chain(later).find(|name| !found.has(name));
        let kept_as = free.ok_or(MigrateError::Names { name: first })?;
        Ok(Some(Self { name: name.to_owned(), kept_as }))
    }

    /// As the journal has it.
    pub(super) fn subject(&self) -> String {
        format!("{} {}", self.name, self.kept_as)
    }

    /// What the journal has.
    pub(super) fn of_subject(subject: &str) -> Option<Self> {
        let (name, kept_as) = subject.split_once(' ')?;
        Some(Self { name: name.to_owned(), kept_as: kept_as.to_owned() })
    }
}

/// Which release made a table of this kind first, by the columns that came one after the other.
pub(super) fn version(table: &FoundTable) -> &'static str {
    match ADDED.map(|name| table.column(name).is_some()) {
        [_, _, true, true] => "antrea_2_0",
        [_, _, true, _] => "antrea_1_15",
        [.., true] => "antrea_2_6",
        [_, true, ..] => "theia_0_7",
        [true, ..] => "theia_0_3",
        _ => "theia_0_1",
    }
}

/// What Theia made beside the table with flows, and what is in the way of our views: views, which
/// have no rows but those they made of flows.
pub(super) fn views(found: &Found) -> Vec<&'static str> {
    let is_in_the_way = |name: &&str| found.get(name).is_some_and(|it| it.engine != "View");
    VIEWS.into_iter().filter(is_in_the_way).collect()
}

/// What Theia's views kept their rows in.
pub(super) fn view_tables(found: &Found) -> Vec<&'static str> {
    VIEW_TABLES.into_iter().filter(|name| found.has(name)).collect()
}

/// Those in front first.
const VIEWS: [&str; 6] = [
    "flows_pod_view",
    "flows_node_view",
    "flows_policy_view",
    "flows_pod_view_local",
    "flows_node_view_local",
    "flows_policy_view_local",
];

const VIEW_TABLES: [&str; 3] =
    ["pod_view_table_local", "node_view_table_local", "policy_view_table_local"];
