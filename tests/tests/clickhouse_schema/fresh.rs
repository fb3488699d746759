//! A database that had nothing.

use store::clickhouse::Client;
use store::clickhouse::schema::{Retention, Schema};
use tests::clickhouse::{ANTREA_COLUMNS, Engine};

use crate::{Database, ROLL_UPS};

#[tokio::test]
async fn a_new_database_has_everything_and_nothing_is_left_to_do() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "fresh");
    let asked = database.asked();
    let before = database.differences(&asked).await;
    assert!(before.iter().any(|it| it.to_string() == "flows: missing; should be a table"));
    let outcome = database.migrate().await.unwrap();
    assert_eq!((outcome.rows, outcome.kept.len()), (0, 0));
    assert!(outcome.changes > 0);
    assert_eq!(database.differences(&asked).await, []);
    assert_eq!(database.migrate().await.unwrap().changes, 0);
    // The first 53 are Antrea's, in its order; a text stays one, however it is kept.
    let columns = database.ask(
        "SELECT name, type FROM system.columns WHERE database = 'fresh' AND table = 'flows' \
         ORDER BY position",
    );
    for (line, (name, kind)) in columns.lines().zip(ANTREA_COLUMNS) {
        let kind = kind.split(' ').next().unwrap();
        let found = line.replace("LowCardinality(String)", "String");
        assert_eq!(found, format!("{name}\t{kind}"));
    }
    every_antrea_inserts(&database);
    what_dashboards_read(&database);
    rows_expire(&database, &database.client).await;
}

/// But for what needs other servers: one that has a shard all for itself runs what is in front of
/// the tables, what fills them, and what dashboards read.
#[tokio::test]
async fn tables_of_many_servers_agree_on_one() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "sharded");
    let mut place = database.asked().place;
    place.cluster = Some("alone".parse().unwrap());
    for statement in Schema::new(place, Retention::FOREVER).statements() {
        let statement = statement.replace(" ON CLUSTER `alone`", "");
        let at = "('/clickhouse/tables/{uuid}/{shard}', '{replica}')";
        database.ask(&statement.replace("ENGINE = Replicated", "ENGINE = ").replace(at, ""));
    }
    database.ask(
        "INSERT INTO DB.flows (flowEndSeconds, sourceIP, sourcePodName, octetDeltaCount) \
         SELECT 1700000000 + number * 10, toString(number % 7), toString(number % 3), number \
         FROM numbers(1000)",
    );
    assert_eq!(
        database.ask("SELECT count(), sum(octetDeltaCount) FROM DB.flows"),
        "1000\t499500\n"
    );
    assert_eq!(database.number("SELECT sum(records) FROM DB.flows_policy_1h_local"), 1000);
    database.sums_agree();
}

/// Each release with the columns that it names, as its writer does: texts, numbers and seconds.
fn every_antrea_inserts(database: &Database<'_>) {
    let known: Vec<_> = ANTREA_COLUMNS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !["timeInserted", "trusted", "egressNodeName"].contains(name))
        .collect();
    assert_eq!(known.len(), 50);
    let (cluster, egress) = (&known[47..48], &known[48..50]);
    let retired = &["appProtocolName", "httpVals"][..];
    let node = &["egressNodeName"][..];
    let releases = [
        (47, known[..47].to_vec()),
        (48, [&known[..47], cluster].concat()),
        (50, [&known[..47], cluster, egress].concat()),
        (52, [&known[..47], cluster, egress, retired].concat()),
        (53, [&known[..47], cluster, egress, retired, node].concat()),
        (51, [&known[..47], cluster, egress, node].concat()),
    ];
    for (count, columns) in &releases {
        assert_eq!(columns.len(), *count);
        let values = columns.iter().map(|name| {
            let kind = ANTREA_COLUMNS.iter().find(|it| it.0 == *name).map_or("String", |it| it.1);
            match kind {
                "DateTime" => "1700000059".to_owned(),
                "String" => format!("'{name}'"),
                _ => "7".to_owned(),
            }
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO DB.flows ({}) VALUES ({values})", columns.join(", "));
        database.ask(&insert);
    }
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 6);
    let told = database.ask(
        "SELECT DISTINCT flowEndSeconds, toString(toUnixTimestamp64Milli(flowEndMilliseconds)), \
         flowDirection, httpVals IN ('', 'httpVals'), sourcePodName FROM DB.flows",
    );
    assert_eq!(told, "2023-11-14 22:14:19\t1700000059000\t255\t1\tsourcePodName\n");
    database.sums_agree();
    // A minute's flows are one row of a kind, whoever told them.
    database.ask("OPTIMIZE TABLE DB.flows_node_1m FINAL");
    let rows = database.ask(
        "SELECT flowEndSeconds, records, octetDeltaCount, throughput FROM DB.flows_node_view \
         WHERE clusterUUID != ''",
    );
    assert_eq!(rows, "2023-11-14 22:14:00\t5\t35\t7\n");
    let hour = database.ask("SELECT DISTINCT flowEndSeconds FROM DB.flows_pod_1h");
    assert_eq!(hour, "2023-11-14 22:00:00\n");
}

/// What Theia's dashboards select, by the facts about their panels.
fn what_dashboards_read(database: &Database<'_>) {
    let times = "timeInserted, flowEndSeconds, flowEndSecondsFromSourceNode, \
                 flowEndSecondsFromDestinationNode, clusterUUID, octetDeltaCount, \
                 reverseOctetDeltaCount, throughput, reverseThroughput, throughputFromSourceNode, \
                 throughputFromDestinationNode, sourcePodNamespace, destinationPodNamespace";
    let ends = "sourcePodName, destinationPodName, destinationIP, destinationServicePort, \
                destinationServicePortName, sourceTransportPort, destinationTransportPort";
    let reverse = "reverseThroughputFromSourceNode, reverseThroughputFromDestinationNode";
    let policy = "egressNetworkPolicyName, egressNetworkPolicyNamespace, \
                  egressNetworkPolicyRuleAction, ingressNetworkPolicyName, \
                  ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleAction";
    for (view, columns) in [
        ("flows_pod_view", format!("{times}, {ends}, flowType")),
        ("flows_node_view", format!("{times}, {reverse}, sourceNodeName, destinationNodeName")),
        ("flows_policy_view", format!("{times}, {reverse}, {ends}, {policy}")),
    ] {
        let text = format!("SELECT {columns} FROM DB.{view} ORDER BY flowEndSeconds FORMAT Null");
        database.ask(&text);
    }
    // One of Pod-to-Pod's and one of NetworkPolicy's.
    let rates = database.ask(
        "SELECT toStartOfInterval(flowEndSeconds, INTERVAL 60 second) AS time, \
         concat(sourcePodNamespace, '/', sourcePodName, ':', toString(sourceTransportPort), '->', \
         destinationPodName) AS pair, avg(throughput) FROM DB.flows_pod_view \
         WHERE flowEndSeconds >= toDateTime(1700000000) AND flowType = 7 \
         GROUP BY time, pair HAVING avg(throughput) > 0 ORDER BY time",
    );
    let expected =
        "2023-11-14 22:14:00\tsourcePodNamespace/sourcePodName:0->destinationPodName\t7\n";
    assert_eq!(rates, expected);
    let bytes = database.number(
        "SELECT SUM(octetDeltaCount) FROM DB.flows_policy_view WHERE ingressNetworkPolicyName != ''",
    );
    assert_eq!(bytes, 42);
}

/// Rows of a month ago go, from flows and from the finest sums, and those of today stay.
async fn rows_expire(database: &Database<'_>, client: &Client) {
    database.ask(
        "INSERT INTO DB.flows (timeInserted, flowEndSeconds, octetDeltaCount) \
         SELECT now() - INTERVAL 31 DAY, now() - INTERVAL 31 DAY, 1 FROM numbers(5)",
    );
    for table in ROLL_UPS.iter().chain(&["flows"]) {
        database.ask(&format!("OPTIMIZE TABLE DB.{table} FINAL"));
    }
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 6);
    assert_eq!(database.number("SELECT sum(records) FROM DB.flows_pod_1m"), 6);
    assert_eq!(database.number("SELECT sum(records) FROM DB.flows_pod_5m"), 11);
    // Then for a shorter time, and the sums of hours for ever.
    let mut asked = database.asked();
    asked.flows = Some("12h".parse().unwrap());
    asked.hours = Some("forever".parse().unwrap());
    let parts: Vec<_> =
        database.differences(&asked).await.iter().map(ToString::to_string).collect();
    assert_eq!(parts.len(), 1 + 4, "{parts:?}");
    let change = async || {
        store::clickhouse::migrations::migrate(client, &asked, "a test", &mut |_| {})
            .await
            .unwrap()
            .changes
    };
    assert_eq!((change().await, change().await), (5, 0));
    assert_eq!(database.differences(&asked).await, []);
    database
        .ask("INSERT INTO DB.flows (timeInserted, flowEndSeconds) SELECT now() - 13 * 3600, now()");
    database.ask("OPTIMIZE TABLE DB.flows FINAL");
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 6);
}

#[tokio::test]
async fn what_somebody_changed_is_told_and_what_is_missing_is_added() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "changed");
    database.migrate().await.unwrap();
    let asked = database.asked();
    for statement in [
        "ALTER TABLE DB.flows DROP COLUMN originalExporterIP",
        "ALTER TABLE DB.flows MODIFY COLUMN sourceIP LowCardinality(String)",
        "ALTER TABLE DB.flows ADD COLUMN mine UInt8",
        "DROP TABLE DB.flows_pod_view",
        "DROP TABLE DB.flows_node_1h_feed",
    ] {
        database.ask(statement);
    }
    let told: Vec<_> = database.differences(&asked).await.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "flows.sourceIP: is LowCardinality(String); should be String",
            "flows.originalExporterIP: missing; should be LowCardinality(String)",
            "flows.mine: is UInt8; not one of ours, stays",
            "flows_node_1h_feed: missing; should be MaterializedView",
            "flows_pod_view: missing; should be View",
        ]
    );
    database.migrate().await.unwrap();
    let told: Vec<_> = database.differences(&asked).await.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "what exists is nobody's to change: {told:?}");
    let journal = database.ask("SELECT step, subject FROM DB.fyke_migrations WHERE number = 3");
    assert_eq!(journal, "widened\tflows(originalExporterIP)\n");
}

/// As when a later release tells workloads apart.
#[tokio::test]
async fn a_roll_up_learns_to_tell_more_apart() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "wider");
    database.migrate().await.unwrap();
    // How it was before that column came.
    let table = "flows_node_1m";
    let before = |ddl: &str| {
        let lines = ddl.lines().filter(|line| {
            !["`destinationNodeName`", "destinationNodeName,"]
                .iter()
                .any(|of| line.trim().starts_with(of))
        });
        lines.collect::<Vec<_>>().join("\n").replace(", destinationNodeName", "")
    };
    let tables = ["flows_node_1m", "flows_node_5m", "flows_node_1h"];
    let feeds = tables.map(|table| format!("{table}_feed"));
    let all: Vec<_> = tables.into_iter().map(str::to_owned).chain(feeds.iter().cloned()).collect();
    let made: Vec<_> = all
        .iter()
        .map(|name| before(&database.ask(&format!("SHOW CREATE TABLE DB.{name} FORMAT TSVRaw"))))
        .collect();
    for name in all.iter().rev() {
        database.ask(&format!("DROP TABLE DB.{name}"));
    }
    for made in &made {
        database.ask(made);
    }
    let insert = "INSERT INTO DB.flows (flowEndSeconds, sourceNodeName, destinationNodeName, \
                  octetDeltaCount) SELECT 1700000000, 'a', concat('n', toString(number)), 5 \
                  FROM numbers(3)";
    database.ask(insert);
    assert_eq!(database.number(&format!("SELECT count() FROM DB.{table}")), 1);
    database.migrate().await.unwrap();
    assert_eq!(database.differences(&database.asked()).await, []);
    database.ask(
        &insert
            .replace("octetDeltaCount)", "octetDeltaCount, flowId)")
            .replace("5 FROM", "5, 1 FROM"),
    );
    database.ask(&format!("OPTIMIZE TABLE DB.{table} FINAL"));
    let rows = database.ask(&format!(
        "SELECT destinationNodeName, records, octetDeltaCount FROM DB.{table} ORDER BY 1"
    ));
    assert_eq!(rows, "\t3\t15\nn0\t1\t5\nn1\t1\t5\nn2\t1\t5\n");
    assert_eq!(database.migrate().await.unwrap().changes, 0);
}
