//! Names that an exporter learns while it runs: from a stand-in API server and a stand-in Agent,
//! by the wall clock, since what is certain depends on when news come.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exporter::conntrack::{Counters, Entry, Kind, Player, Recorded, Step, Tuple};
use exporter::deny::Direction;
use exporter::destination::{Filter, STATIC};
use exporter::enrich::Enricher;
use exporter::export::Batch;
use exporter::meter::{Limits, Meter, Timeouts};
use exporter::names::{Agent, Asker, Counts, End, Live, Policies, Unnamed};
use exporter::observe::{Observer, Orders, Target};
use exporter::zones::Zones;
use flow::FlowRecord;
use k8s::client::{Connection, Source};
use serde_json::json;
use tests::agent::StandInAgent;
use tests::api_server::StandIn;
use tokio::sync::{mpsc, watch};

const PATIENCE: Duration = Duration::from_secs(30);

/// An address of this Node.
const NODE: [u8; 4] = [192, 168, 77, 1];

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn now_ms() -> u64 {
    now_ns() / 1_000_000
}

/// An exporter of `node-0`, whose kernel says what it is told to.
struct Exporter {
    player: Player,
    observer: Observer<Recorded>,
    batches: mpsc::Receiver<Batch>,
    counts: Arc<Counts>,
    next: u32,
    _folder: tempfile::TempDir,
}

impl Exporter {
    async fn of(server: &StandIn, wait: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Kubeconfig(server.kubeconfig(folder.path(), None));
        let connection = Arc::new(Connection::open(source).await.unwrap());
        let (live, watching) = Live::begin(connection, "node-0", Arc::new(now_ms));
        tokio::spawn(watching);
        assert!(exporter::names::listed(&live.progress(), PATIENCE).await);
        let counts = Arc::<Counts>::default();
        let enricher = Enricher::following(live.cluster(), "node-0");
        let enricher = enricher.counting(Arc::clone(&counts));
        let (player, source) = Recorded::new();
        let timeouts = Timeouts::new(Duration::from_secs(5), Duration::from_secs(15));
        let meter = Meter::new(Limits { connections: 1_000 });
        let poll_interval = Duration::from_secs(5);
        let (queue, batches) = mpsc::channel(16);
        let target = Target {
            name: STATIC.into(),
            number: 0,
            timeouts,
            filter: Filter::default(),
            queue: queue.downgrade(),
            spent: Arc::default(),
            metrics: Arc::default(),
        };
        let orders = Orders { poll_interval, targets: [target].into(), name_wait: wait };
        let zones = Zones::plain(&[0]);
        let mut observer =
            Observer::new(source, meter, enricher, zones, poll_interval, Arc::default())
                .obeying(watch::channel(orders).1, now_ns());
        observer.live = Some(live);
        Self { player, observer, batches, counts, next: 1, _folder: folder }
    }

    /// A connection of `address` to the outside, which begins and ends now.
    fn connects(&mut self, address: [u8; 4]) -> u64 {
        let port = u16::try_from(self.next).unwrap();
        let (pod, outside) = ((address.into(), port), ([192, 0, 2, 1].into(), 53));
        self.sees(Tuple::new(pod, outside, 17), Tuple::new(outside, pod, 17))
    }

    /// A connection from outside to port 61001 of this Node, which leads to port 8080 of a Pod.
    fn is_connected_to(&mut self, address: [u8; 4]) -> u64 {
        let client = ([192, 0, 2, 1].into(), u16::try_from(self.next).unwrap());
        let (node, pod) = ((NODE.into(), 61_001), (address.into(), 8080));
        self.sees(Tuple::new(client, node, 6), Tuple::new(pod, client, 6))
    }

    fn sees(&mut self, original: Tuple, reply: Tuple) -> u64 {
        self.next += 1;
        let now = now_ns();
        for kind in [Kind::New, Kind::Destroy] {
            let entry = Entry::new(kind, original, reply);
            let counters = Some(Counters { packets: 1, octets: 100, ..Counters::default() });
            let times = (Some(now), (kind == Kind::Destroy).then_some(now));
            let entry =
                Entry { id: self.next, counters, start_ns: times.0, stop_ns: times.1, ..entry };
            self.player.play(Step::Event(entry));
        }
        now / 1_000_000
    }

    /// What it tells now.
    fn tells(&mut self) -> Vec<Arc<FlowRecord>> {
        self.observer.observe(now_ns()).unwrap();
        self.observer.turn(now_ns());
        std::iter::from_fn(|| self.batches.try_recv().ok()).flatten().collect()
    }

    /// What it tells until there are `count` records.
    async fn tells_until(&mut self, count: usize) -> Vec<Arc<FlowRecord>> {
        let (mut told, begun) = (Vec::new(), Instant::now());
        while told.len() < count {
            assert!(begun.elapsed() < PATIENCE, "{} records of {count}", told.len());
            told.extend(self.tells());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        told
    }
}

fn cluster() -> StandIn {
    let server = StandIn::start_tls();
    server.load(2, 0);
    server
}

fn put_pod(server: &StandIn, name: &str, address: &str) {
    let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = json!({ "type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": created });
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "creationTimestamp": created },
        "spec": { "nodeName": "node-0" },
        "status": { "phase": "Running", "startTime": created, "podIPs": [{ "ip": address }],
            "conditions": [condition] },
    }));
}

/// What Antrea's Agent writes on a Pod, and for which Service.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_node_that_is_a_pods_has_the_name_of_its_service() {
    let server = cluster();
    let mut exporter = Exporter::of(&server, PATIENCE).await;
    let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    server.put(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "namespace": "shop",
            "annotations": { "nodeportlocal.antrea.io/enabled": "true" } },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    }));
    let port = r#"[{"podPort":8080,"nodeIP":"192.168.77.1","nodePort":61001,"protocol":"tcp"}]"#;
    server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web-1", "namespace": "shop", "creationTimestamp": created,
            "labels": { "app": "web" }, "annotations": { "nodeportlocal.antrea.io": port } },
        "spec": { "nodeName": "node-0" },
        "status": { "phase": "Running", "startTime": created, "hostIP": "192.168.77.1",
            "podIPs": [{ "ip": "10.0.0.7" }] },
    }));
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "the port has no name");
        exporter.is_connected_to([10, 0, 0, 7]);
        let told = exporter.tells_until(1).await;
        let service = &told[0].service;
        assert_eq!((service.ip, service.port), (Some(NODE.into()), 61_001));
        if !service.name.is_empty() {
            assert_eq!(service.name.as_str(), "shop/web");
            assert_eq!(told[0].proxy_snat_ip, None);
            return;
        }
    }
}

/// The connection may be there before the news of its Pod. What was there before watching began
/// may linger for 5 s and have the address of a Pod that nobody saw; until then none is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_flow_of_a_new_pod_gets_its_name() {
    let server = cluster();
    let mut exporter = Exporter::of(&server, PATIENCE).await;
    for number in 10..30 {
        let name = format!("fresh-{number}");
        let begun = Instant::now();
        put_pod(&server, &name, &format!("10.0.0.{number}"));
        exporter.connects([10, 0, 0, number]);
        let told = exporter.tells_until(1).await;
        assert_eq!(told[0].source.node.as_str(), "node-0");
        if !told[0].source.pod.is_empty() {
            assert_eq!(told[0].source.pod.as_str(), name);
            assert_eq!(exporter.counts.waited_in_vain.get(), 0);
            // For whoever runs this with --nocapture.
            eprintln!("certain after {:?}", begun.elapsed());
            return;
        }
    }
    panic!("none has a name");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_longer_than_is_configured() {
    let mut server = cluster();
    let mut exporter = Exporter::of(&server, Duration::from_millis(500)).await;
    server.go_down();
    exporter.connects([10, 0, 0, 6]);
    let told = exporter.tells_until(1).await;
    assert_eq!((told[0].source.pod.as_str(), told[0].source.node.as_str()), ("", "node-0"));
    assert_eq!(exporter.counts.waited_in_vain.get(), 1);
}

/// Who has the address now may not have it any more, as far as is known here.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_only_likely_is_not_told() {
    let server = cluster();
    let mut exporter = Exporter::of(&server, Duration::ZERO).await;
    put_pod(&server, "likely", "10.0.0.7");
    let begun = Instant::now();
    while exporter.counts.unresolved_so_far(End::Source, "too_recent") == 0 {
        assert!(begun.elapsed() < PATIENCE, "nobody is likely");
        exporter.connects([10, 0, 0, 7]);
        for told in exporter.tells_until(1).await {
            assert_eq!(told.source.pod.as_str(), "");
        }
    }
}

/// Who has an address changes while connections are made all the time.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_used_again_at_once_never_has_a_wrong_name() {
    let server = cluster();
    let mut exporter = Exporter::of(&server, PATIENCE).await;
    // Name, and from when and until when it had the address.
    let mut owners: Vec<(String, u64, u64)> = Vec::new();
    let (mut told, mut made) = (Vec::new(), 0);
    for round in 0..4 {
        let name = format!("pod-{round}");
        let from = now_ms();
        put_pod(&server, &name, "10.0.0.7");
        for _ in 0..30 {
            exporter.connects([10, 0, 0, 7]);
            made += 1;
            told.extend(exporter.tells());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        server.remove("v1", "Pod", "shop", &name);
        owners.push((name, from, now_ms()));
    }
    // One that stays has its name in the end.
    let from = now_ms();
    put_pod(&server, "last", "10.0.0.7");
    owners.push(("last".to_owned(), from, u64::MAX));
    let begun = Instant::now();
    while told.iter().all(|record: &Arc<FlowRecord>| record.source.pod.as_str() != "last") {
        assert!(begun.elapsed() < PATIENCE, "the last one has no name");
        exporter.connects([10, 0, 0, 7]);
        made += 1;
        told.extend(exporter.tells());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    told.extend(exporter.tells_until(made - told.len()).await);
    let named: Vec<_> = told.iter().filter(|record| !record.source.pod.is_empty()).collect();
    for record in &named {
        let owner = owners.iter().find(|(name, ..)| *name == record.source.pod.as_str()).unwrap();
        let (start, [from, until]) = (record.start_ms, [owner.1, owner.2]);
        assert!((from..=until).contains(&start), "{}: {start} not in {from}..{until}", owner.0);
    }
    assert_eq!(told.len(), made);
}

fn agent_with(rule: &str, id: u32) -> impl Fn(&StandInAgent) {
    let flow = format!(
        "table=IngressRule, n_packets=0, n_bytes=0, priority=190,conj_id={id},ip \
         actions=set_field:{id:#x}->reg5,ct(commit,table=IngressMetric,zone=65520,\
         exec(set_field:{id:#x}/0xffffffff->ct_label))"
    );
    let list = json!({ "kind": "NetworkPolicyList", "items": [{
        "metadata": { "name": rule, "uid": rule },
        "sourceRef": { "type": "K8sNetworkPolicy", "namespace": "shop", "name": rule, "uid": rule },
        "rules": [{ "direction": "In", "priority": -1 }],
    }] });
    let rule = rule.to_owned();
    move |agent| {
        for (path, body) in [
            ("/networkpolicies".to_owned(), list.to_string()),
            ("/ovsflows?table=IngressRule".to_owned(), json!([{ "flow": flow }]).to_string()),
            (
                format!("/ovsflows?networkpolicy={rule}&namespace=shop&type=K8SNP"),
                json!([{ "flow": flow }]).to_string(),
            ),
        ] {
            agent.answer(&path, 200, body);
        }
    }
}

fn asking(agent: &StandInAgent) -> (Policies, Arc<Counts>) {
    asking_by(agent, now_ms)
}

fn asking_by(agent: &StandInAgent, clock: fn() -> u64) -> (Policies, Arc<Counts>) {
    let (policies, counts) = (Policies::default(), Arc::<Counts>::default());
    let asked = Agent::new(agent.port(), agent.token_file()).unwrap();
    tokio::spawn(Asker::new(asked, policies.clone(), Arc::clone(&counts), clock).run());
    (policies, counts)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn found(policies: &Policies, id: u32, at: u64) -> Result<String, Unnamed> {
    policies.find(id, Direction::Ingress, at).map(|rule| rule.name.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agents_ids_are_not_taken_for_those_before() {
    let mut agent = StandInAgent::start().await;
    agent_with("before", 7)(&agent);
    let (policies, _) = asking(&agent);
    let began = now_ms();
    until("the first Agent's rule", || found(&policies, 7, began) == Ok("before".into())).await;
    agent_with("after", 7)(&agent);
    agent.restart().await;
    let restarted = now_ms();
    let starting = || found(&policies, 7, restarted) == Err(Unnamed::NotReady);
    until("the second Agent", starting).await;
    assert_eq!(found(&policies, 7, began), Ok("before".into()), "it began before");
    // What begins when the new Agent is in place.
    let later = restarted + 60_000;
    until("its rule", || found(&policies, 7, later) == Ok("after".into())).await;
    assert_eq!(found(&policies, 7, began), Ok("before".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_agents_tables_have_numbers_and_its_policies_another_word() {
    let agent = StandInAgent::start().await;
    let flow = "table=90, n_packets=0, n_bytes=0, priority=14000,conj_id=3,ip \
                actions=load:0x3->NXM_NX_REG6[],ct(commit,table=101,zone=65520,\
                exec(load:0x3->NXM_NX_CT_LABEL[0..31]))";
    let flows = json!([{ "flow": flow }]).to_string();
    for name in ["AntreaPolicyEgressRule", "EgressRule", "AntreaPolicyIngressRule", "IngressRule"] {
        agent.answer(&format!("/ovsflows?table={name}"), 400, "");
    }
    agent.answer("/ovsflows?table=90", 200, flows.clone());
    agent.answer("/ovsflows?networkpolicy=web&namespace=shop&type=ANNP", 400, "");
    agent.answer("/ovsflows?networkpolicy=web&namespace=shop&type=ANP", 200, flows);
    let list = json!({ "items": [{
        "metadata": { "name": "u" },
        "sourceRef": { "type": "AntreaNetworkPolicy", "namespace": "shop", "name": "web", "uid": "u" },
        "rules": [{ "direction": "In", "name": "from-shop", "action": "Allow", "priority": 0 }],
    }] });
    agent.answer("/networkpolicies", 200, list.to_string());
    let (policies, _) = asking(&agent);
    let began = now_ms();
    until("the rule", || found(&policies, 3, began) == Ok("web".into())).await;
    let rule = policies.find(3, Direction::Ingress, began).unwrap();
    assert_eq!((rule.policy_type, rule.rule.as_str(), rule.action), (2, "from-shop", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_agents_port_gets_no_token() {
    let mut agent = StandInAgent::start().await;
    agent_with("before", 7)(&agent);
    let (policies, counts) = asking(&agent);
    let began = now_ms();
    until("the rule", || found(&policies, 7, began) == Ok("before".into())).await;
    agent.take_its_port().await;
    let asked = agent.asked().len();
    let looks = counts.agent_looks.get();
    until("a refusal", || counts.agent_failures("unreachable") > 0).await;
    assert_eq!((agent.asked().len(), counts.agent_looks.get()), (asked, looks));
}

/// By which time one test looks at the Agent's rules.
static CLOCK: AtomicU64 = AtomicU64::new(0);

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_not_asked_for_ever_about_an_id_that_no_policy_has() {
    CLOCK.store(now_ms(), Ordering::SeqCst);
    let agent = StandInAgent::start().await;
    agent_with("web", 7)(&agent);
    let flow = |id| format!("table=IngressRule, priority=190,conj_id={id},ip actions=drop");
    let table = json!([{ "flow": flow(7) }, { "flow": flow(9) }]).to_string();
    agent.answer("/ovsflows?table=IngressRule", 200, table);
    let (policies, counts) = asking_by(&agent, || CLOCK.load(Ordering::SeqCst));
    let began = CLOCK.load(Ordering::SeqCst);
    let asked = || agent.asked().iter().filter(|it| it.contains("networkpolicy=web")).count();
    // Someone who began later and has another id hurries the looks.
    let looks = |count| {
        let (policies, counts) = (&policies, &counts);
        let last = counts.agent_looks.get() + count;
        until("looks", move || {
            found(policies, 42, began + 60_000).unwrap_err();
            counts.agent_looks.get() >= last
        })
    };
    looks(4).await;
    assert_eq!(found(&policies, 7, began), Ok("web".into()));
    assert_eq!(found(&policies, 9, began), Err(Unnamed::Unresolved));
    assert_eq!(asked(), 1, "it rests");
    for (more, expected) in [(3_000, 1), (3_000, 2), (3_000, 2), (3_000, 2), (3_000, 2), (3_000, 3)]
    {
        CLOCK.fetch_add(more, Ordering::SeqCst);
        // One may have been under way.
        looks(2).await;
        assert_eq!(asked(), expected);
    }
}
