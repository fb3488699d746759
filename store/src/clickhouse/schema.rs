//! What belongs into a database of ours: the table `flows`, its roll-ups, and the views that
//! Theia's dashboards read. Statements alone; nothing here asks a server.
mod name; // what may stand in a statement
mod column; // attributes as columns
mod retention; // how long rows are kept
mod table; // tables
mod roll_up; // sums per minute, five minutes and hour, and views under Theia's names
mod distributed; // one table over many servers

use flow::RollUp;

pub use column::Column;
pub(super) use name::quoted;
pub use name::{Name, NoName};
pub use retention::{Keep, NoKeep, Retention};
pub(super) use roll_up::RECORDS;
pub use roll_up::{Feed, Tier, View};
pub(super) use table::since;
pub use table::{COMMENT, Table};

/// What stands before the names of tables that rows wait in while an older table is taken over.
const STAGE: &str = "fyke_stage_";

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub database: Name,
    /// Many servers: tables are replicated, and each has one in front that knows them all.
    pub cluster: Option<Name>,
}

/// Everything in the order in which it can be made.
#[derive(Debug, Clone)]
pub struct Schema {
    pub place: Place,
    retention: Retention,
    /// What stands before each name.
    prefix: &'static str,
}

impl Schema {
    pub fn new(place: Place, retention: Retention) -> Self {
        Self { place, retention, prefix: "" }
    }

    /// The same tables under other names, where nothing expires.
    #[must_use]
    pub fn staged(&self) -> Self {
        Self { prefix: STAGE, retention: Retention::FOREVER, ..self.clone() }
    }

    pub fn create_database(&self) -> String {
        format!("CREATE DATABASE IF NOT EXISTS {}{}", self.place.database, self.on_cluster())
    }

    /// Every flow.
    pub fn flows(&self) -> Table {
        Table::flows(self)
    }

    /// Every roll-up, the finer ones of each kind first.
    pub fn roll_ups(&self) -> Vec<Table> {
        let of = |roll_up| Tier::ALL.map(|tier| Table::roll_up(self, roll_up, tier));
        RollUp::ALL.iter().flat_map(of).collect()
    }

    /// What fills the roll-ups.
    pub fn feeds(&self) -> Vec<Feed> {
        let of = |roll_up| Tier::ALL.map(|tier| Feed::new(self, roll_up, tier));
        RollUp::ALL.iter().flat_map(of).collect()
    }

    /// The tables of every roll-up with what fills each, those that are made of others behind them.
    pub fn fed(&self) -> Vec<Vec<(Table, Feed)>> {
        let of = |roll_up| {
            let fed = |tier| (Table::roll_up(self, roll_up, tier), Feed::new(self, roll_up, tier));
            Tier::ALL.map(fed).into()
        };
        RollUp::ALL.iter().map(of).collect()
    }

    /// What is read under Theia's names.
    pub fn views(&self) -> Vec<View> {
        RollUp::ALL.iter().filter_map(|roll_up| View::new(self, roll_up)).collect()
    }

    /// What stands in front of the tables of many servers, by the name of each; none on a single
    /// one.
    pub fn fronts(&self) -> Vec<(String, String)> {
        distributed::fronts(self)
    }

    /// Everything that a fresh database wants, in order.
    pub fn statements(&self) -> Vec<String> {
        let tables = [self.flows()].into_iter().chain(self.roll_ups());
        let tables = tables.map(|table| table.create());
        let feeds = self.feeds().into_iter().map(|feed| feed.create());
        let fronts = self.fronts().into_iter().map(|(_, create)| create);
        let views = self.views().into_iter().map(|view| view.create());
        let all = [self.create_database()].into_iter();
        all.chain(tables).chain(feeds).chain(fronts).chain(views).collect()
    }

    /// What holds rows: on many servers each has its own.
    fn table_name(&self, name: &str) -> String {
        let local = if self.place.cluster.is_some() { "_local" } else { "" };
        format!("{}{name}{local}", self.prefix)
    }

    /// What is asked.
    fn front_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn on_cluster(&self) -> String {
        self.place.cluster.as_ref().map_or_else(String::new, |name| format!(" ON CLUSTER {name}"))
    }

    /// A table's name with the database.
    pub(super) fn full(&self, name: &str) -> String {
        self.place.full(name)
    }
}

impl Place {
    /// A table's name with the database, quoted.
    pub(super) fn full(&self, table: &str) -> String {
        format!("{}.{}", self.database, quoted(table))
    }
}
