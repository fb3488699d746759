//! Rules that are missing, and credentials that are no longer valid.

use k8s::client::{Access, Reason, Rule, Verb, rules};
use k8s::objects::Kind;
use tests::api_server::{End, Failure, StandIn};

use super::world::{ADMIN, Changes, OURS, World, options};

/// A server at which we may do what `ours` allow.
fn server_with(ours: &[Rule]) -> StandIn {
    let server = StandIn::start_tls();
    server.require_access(&rule_file(ours));
    server
}

/// As in a manifest: a Role takes rules as they are told.
fn rule_file(ours: &[Rule]) -> String {
    let lines: Vec<_> = ours.iter().map(|rule| rule.to_string().replace('\n', "\n  ")).collect();
    let ours = if lines.is_empty() { " []".into() } else { format!("\n  {}", lines.join("\n  ")) };
    format!(
        "users:\n- name: admin\n  token: {ADMIN}\n  rules:\n  \
         - {{apiGroups: ['*'], resources: ['*'], verbs: ['*']}}\n\
         - name: fyke\n  token: {OURS}\n  rules:{ours}",
    )
}

/// The rules that allow everything else.
fn accesses_but(missing: Access) -> Vec<Rule> {
    let all = Access::all(&Kind::ALL);
    let rest: Vec<_> = all.into_iter().filter(|&access| access != missing).collect();
    Rule::allowing(&rest)
}

/// What was said to be missing when watching began.
fn told(world: &World) -> String {
    let rules: Vec<_> = world.progress.missing().iter().map(Rule::to_string).collect();
    rules.join("\n")
}

/// The next reviews are not allowed.
fn deny_reviews(server: &StandIn) {
    server.fail(Failure {
        verb: None,
        resource: Some("selfsubjectaccessreviews"),
        times: 14,
        status: 403,
        retry_after: None,
    });
}

#[tokio::test]
async fn nothing_is_missing_where_the_documented_rules_are_allowed() {
    let server = server_with(&rules(&Kind::ALL));
    server.load(2, 10);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    world.settled(&server).await;
    assert_eq!(told(&world), "");
    assert_eq!(server.counters().refused.len(), 0, "nothing was refused");
}

#[tokio::test]
async fn each_missing_access_is_named_alone_and_keeps_no_other_kind_back() {
    let server = server_with(&[]);
    let mut changes = Changes::new();
    changes.make(&server, 60);
    for missing in Access::all(&Kind::ALL) {
        server.require_access(&rule_file(&accesses_but(missing)));
        if missing.verb == Verb::List {
            deny_reviews(&server);
        }
        // Lists by pages take both verbs.
        let options = k8s::watch::Options { stream_lists: false, ..options() };
        let world = World::watch(&server, options).await;
        world.ready().await;
        assert_eq!(told(&world), plain_rule(missing));

        world
            .progresses("denial", |kind, state| state.denied.is_some() == (kind == missing.kind))
            .await;
        assert_eq!(world.state(missing.kind).denied.unwrap().access, missing);
        let before = world.progress.kinds();
        let events = |kind| before.iter().find(|(one, _)| *one == kind).unwrap().1.events;
        changes.make(&server, 60);
        world
            .progresses("the others", |kind, state| {
                kind == missing.kind || state.events > events(kind)
            })
            .await;
        server.require_access(&rule_file(&rules(&Kind::ALL)));
        world.settled(&server).await;
        world.progresses("no denial", |_, state| state.denied.is_none()).await;
    }
}

/// Written by hand: what a person would paste.
fn plain_rule(access: Access) -> String {
    let (group, resource) = match access.kind {
        Kind::Pod => ("", "pods"),
        Kind::Service => ("", "services"),
        Kind::EndpointSlice => ("discovery.k8s.io", "endpointslices"),
        Kind::Node => ("", "nodes"),
        Kind::Namespace => ("", "namespaces"),
        Kind::ReplicaSet => ("apps", "replicasets"),
        Kind::Job => ("batch", "jobs"),
        Kind::Custom(custom) => (custom.group, custom.plural),
    };
    let verb = if access.verb == Verb::List { "list" } else { "watch" };
    format!("- apiGroups: [\"{group}\"]\n  resources: [{resource}]\n  verbs: [{verb}]")
}

#[tokio::test]
async fn all_missing_rules_are_told_at_once() {
    let server = server_with(&[]);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    let all: Vec<_> = rules(&Kind::ALL).iter().map(Rule::to_string).collect();
    assert_eq!(told(&world), all.join("\n"));
    world.progresses("denials", |_, state| state.denied.is_some()).await;
    server.require_access(&rule_file(&rules(&Kind::ALL)));
    server.load(1, 5);
    world.settled(&server).await;
}

#[tokio::test]
async fn a_token_that_has_expired_is_read_again() {
    let server = server_with(&rules(&Kind::ALL));
    server.load(2, 10);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    world.settled(&server).await;
    let mut changes = Changes::new();

    server.expire_tokens();
    server.accept_token(ADMIN, "admin");
    server.accept_token("the next token", "fyke");
    world.watching(&server).await;
    server.end_watches(End::Clean);
    changes.make(&server, 50);
    let unauthorized =
        |_: Kind, state: &k8s::watch::KindState| state.restarts.of(Reason::Unauthorized) > 0;
    world.progresses("refusal", unauthorized).await;
    world.replace_token("the next token");
    world.settled(&server).await;
    changes.make(&server, 50);
    world.settled(&server).await;
    assert!(world.connection.generation() > 0 && world.is_running());
}
