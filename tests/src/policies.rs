//! Rules of policies, as exporters learn them: from an Antrea Agent.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use exporter::deny::Direction;
use exporter::names::{Agent, Asker, Policies};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::StandInAgent;
use crate::scenario::BEGIN_MS;

const PATIENCE: Duration = Duration::from_secs(30);

/// A rule of a policy that has no other of its direction.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedRule {
    /// What the Agent calls it on connections.
    id: u32,
    direction: String,
    /// As in `sourceRef` of the Agent's list.
    r#type: String,
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    action: String,
}

/// `ingress` or `egress`.
pub fn direction(word: &str) -> Result<Direction> {
    Ok(match word {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        other => bail!("direction {other}"),
    })
}

/// What an exporter has learned of `rules` from an Agent that was up long before `at`.
pub fn as_an_agent_tells(rules: &[DescribedRule], at: SystemTime) -> Result<Policies> {
    let policies = Policies::default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let agent = StandInAgent::start().await;
        agent.up_since(at - Duration::from_hours(1));
        tell(&agent, rules)?;
        let asked = Agent::new(agent.port(), agent.token_file())?;
        let asking =
            tokio::spawn(Asker::new(asked, policies.clone(), <_>::default(), || BEGIN_MS).run());
        let is_known = |rule: &DescribedRule| {
            let direction = direction(&rule.direction)?;
            anyhow::Ok(policies.find(rule.id, direction, BEGIN_MS).is_ok())
        };
        let begun = tokio::time::Instant::now();
        for rule in rules {
            while !is_known(rule)? {
                ensure!(begun.elapsed() < PATIENCE, "never learned: {rule:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        asking.abort();
        anyhow::Ok(())
    })?;
    Ok(policies)
}

fn tell(agent: &StandInAgent, rules: &[DescribedRule]) -> Result<()> {
    let mut tables = BTreeMap::<String, Vec<Value>>::new();
    let mut listed = Vec::new();
    for rule in rules {
        let (table, flow) = flow(rule)?;
        let flow = json!({ "flow": flow });
        tables.entry(table).or_default().push(flow.clone());
        let word = match rule.r#type.as_str() {
            "K8sNetworkPolicy" => "K8SNP",
            "AntreaNetworkPolicy" => "ANNP",
            "AntreaClusterNetworkPolicy" => "ACNP",
            other => bail!("type {other}"),
        };
        let namespace = match rule.namespace.as_str() {
            "" => String::new(),
            namespace => format!("&namespace={namespace}"),
        };
        let question = format!("/ovsflows?networkpolicy={}{namespace}&type={word}", rule.name);
        agent.answer(&question, 200, json!([flow]).to_string());
        listed.push(policy(rule)?);
    }
    for (table, flows) in tables {
        agent.answer(&format!("/ovsflows?table={table}"), 200, Value::from(flows).to_string());
    }
    let list = json!({ "kind": "NetworkPolicyList", "items": listed });
    agent.answer("/networkpolicies", 200, list.to_string());
    Ok(())
}

/// A rule's table, and the flow in it that lets pass or denies what the rule means.
fn flow(rule: &DescribedRule) -> Result<(String, String)> {
    let (id, is_k8s) = (rule.id, rule.r#type.starts_with("K8s"));
    let side = match direction(&rule.direction)? {
        Direction::Ingress => "Ingress",
        Direction::Egress => "Egress",
    };
    let table = format!("{}{side}Rule", if is_k8s { "" } else { "AntreaPolicy" });
    let flow =
        format!("table={table}, n_packets=0, n_bytes=0, priority=190,conj_id={id},ip actions=drop");
    Ok((table, flow))
}

/// A policy as the Agent lists it.
fn policy(rule: &DescribedRule) -> Result<Value> {
    let uid = format!("{}-{}-{}", rule.namespace, rule.name, rule.direction);
    let direction = match direction(&rule.direction)? {
        Direction::Ingress => "In",
        Direction::Egress => "Out",
    };
    let mut told = json!({ "direction": direction, "priority": -1 });
    for (key, value) in [("name", &rule.rule), ("action", &rule.action)] {
        if !value.is_empty() {
            told[key] = value.as_str().into();
        }
    }
    let mut source = json!({ "type": rule.r#type, "name": rule.name, "uid": uid });
    if !rule.namespace.is_empty() {
        source["namespace"] = rule.namespace.as_str().into();
    }
    let rules = Value::Array(vec![told]);
    Ok(json!({ "metadata": { "name": uid, "uid": uid }, "sourceRef": source, "rules": rules }))
}
