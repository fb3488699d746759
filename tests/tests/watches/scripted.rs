//! Answers that no API server should give: they come from a script.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use k8s::Lookup;
use k8s::client::Reason;
use k8s::objects::Kind;
use k8s::watch::{KindState, LeftOut, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::world::{Known, World, now_ms, options};

/// What is answered to one request.
struct Answer {
    status: &'static str,
    body: String,
    /// Whether the body goes on, and nothing more comes.
    stays: bool,
}

impl Answer {
    fn page(body: impl Into<String>) -> Self {
        Self { status: "200 OK", body: body.into(), stays: false }
    }

    fn watch(lines: &[String]) -> Self {
        Self { status: "200 OK", body: lines.concat(), stays: true }
    }
}

/// A server of Pods that says what its script says: `script` gets the query and how many requests
/// came before.
struct Scripted {
    url: String,
    queries: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    async fn start(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (asked, script) = (Arc::clone(&queries), Arc::new(script));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (asked, script) = (Arc::clone(&asked), Arc::clone(&script));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(query) = query(&mut stream).await else { return };
                    let before = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(query.clone());
                        asked.len() - 1
                    };
                    answer(stream, &script(&query, before)).await;
                });
            }
        });
        Self { url, queries, serving }
    }

    async fn watched(&self, options: Options) -> World {
        World::watch_at(&self.url, Options { kinds: vec![Kind::Pod], ..options }).await
    }

    fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

async fn query(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    assert!(path.starts_with("/api/v1/pods?"), "{path}");
    Some(path.split('?').nth(1).unwrap().to_owned())
}

async fn answer(mut stream: TcpStream, answer: &Answer) {
    let head = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
        answer.status
    );
    // The client may have had enough.
    let written = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.body.as_bytes()).await?;
        if answer.stays {
            stream.read_u8().await?;
        }
        stream.shutdown().await
    };
    drop(written.await);
}

fn pod(name: &str, version: u64) -> String {
    format!(
        "{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"d\",\"uid\":\"u-{name}\",\
         \"resourceVersion\":\"{version}\"}}}}"
    )
}

fn event(kind: &str, object: &str) -> String {
    format!("{{\"object\":{object},\"type\":\"{kind}\"}}\n")
}

fn bookmark(version: u64, marks: &str) -> String {
    event(
        "BOOKMARK",
        &format!("{{\"metadata\":{{\"resourceVersion\":\"{version}\",\"annotations\":{marks}}}}}"),
    )
}

fn list_end(version: u64) -> String {
    bookmark(version, "{\"k8s.io/initial-events-end\":\"true\"}")
}

fn page(pods: &[String], version: u64, next: &str) -> String {
    let pods = pods.join(",");
    format!(
        "{{\"metadata\":{{\"resourceVersion\":\"{version}\",\"continue\":\"{next}\"}},\
         \"items\":[{pods}]}}"
    )
}

fn names(world: &World) -> Vec<String> {
    world.picture().into_keys().map(|(_, _, name)| name).collect()
}

async fn has(world: &World, expected: &[&str]) {
    let is_so =
        |known: &Known| known.picture.keys().map(|key| key.2.as_str()).eq(expected.iter().copied());
    world.until(&format!("{expected:?}"), is_so).await;
}

#[tokio::test]
async fn a_line_that_is_no_event_is_followed_by_a_new_list() {
    for garbage in ["<html>\n", "{\"type\":\"ADDED\"}\n", "\u{fffd}\n", "{\"type\":\n"] {
        let server = Scripted::start(move |_, before| {
            let first = [event("ADDED", &pod("a", 1)), list_end(1), garbage.to_owned()];
            let second = [event("ADDED", &pod("b", 2)), list_end(2)];
            Answer::watch(if before == 0 { &first } else { &second })
        })
        .await;
        let world = server.watched(options()).await;
        has(&world, &["b"]).await;
        assert_eq!(world.restarts(Kind::Pod, Reason::Garbage), 1, "{garbage}");
    }
}

/// The list may have been made just before it was answered, but not before it was asked for.
#[tokio::test]
async fn a_list_is_dated_to_when_it_was_asked_for() {
    for stream_lists in [true, false] {
        let answered = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&answered);
        let server = Scripted::start(move |_, before| {
            if before > 0 {
                return Answer::watch(&[]);
            }
            let asked = now_ms();
            while now_ms() < asked + 2 {
                std::hint::spin_loop();
            }
            told.store(now_ms(), Ordering::Relaxed);
            let status = "{\"status\":{\"podIPs\":[{\"ip\":\"10.0.0.1\"}]},";
            let pod = pod("a", 1).replacen('{', status, 1);
            if stream_lists {
                Answer::watch(&[event("ADDED", &pod), list_end(1)])
            } else {
                Answer::page(page(&[pod], 1, ""))
            }
        })
        .await;
        let world = server.watched(Options { stream_lists, ..options() }).await;
        world.ready().await;
        let at = answered.load(Ordering::Relaxed);
        let is_likely = |known: &Known| {
            let named = known.cluster.as_ref().map(|now| now.pod([10, 0, 0, 1].into(), at));
            matches!(named, Some(Lookup::Likely(_)))
        };
        world.until("a name that is likely", is_likely).await;
    }
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_no_event() {
    let server = Scripted::start(|query, before| {
        if before == 0 {
            return Answer::page(list_end(1) + event("ADDED", &pod("a", 2)).trim_end());
        }
        assert!(query.contains("&resourceVersion=1"), "{query}");
        Answer::watch(&[event("ADDED", &pod("a", 2))])
    })
    .await;
    let world = server.watched(options()).await;
    has(&world, &["a"]).await;
    assert_eq!(world.restarts(Kind::Pod, Reason::Ended), 1);
}

#[tokio::test]
async fn an_object_without_end_is_left_out() {
    let server = Scripted::start(|_, _| {
        let endless = event("ADDED", &format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)));
        Answer::watch(&[list_end(1), endless, event("ADDED", &pod("a", 2))])
    })
    .await;
    let world = server.watched(Options { object_limit: 1 << 10, ..options() }).await;
    has(&world, &["a"]).await;
    assert_eq!(world.state(Kind::Pod).left_out.of(LeftOut::TooLarge), 1);
}

#[tokio::test]
async fn a_server_that_does_not_know_what_a_streamed_list_is_is_read_by_pages() {
    let server = Scripted::start(|query, _| {
        let is_watch = query.contains("watch=true");
        if is_watch && query.contains("sendInitialEvents") {
            return Answer::watch(&[event("ADDED", &pod("a", 1)), bookmark(1, "{}")]);
        }
        if is_watch { Answer::watch(&[]) } else { Answer::page(page(&[pod("b", 1)], 1, "")) }
    })
    .await;
    let world = server.watched(options()).await;
    has(&world, &["b"]).await;
    assert_eq!(world.restarts(Kind::Pod, Reason::Unstreamed), 1);
}

#[tokio::test]
async fn pages_that_are_too_large_are_asked_for_smaller() {
    let server = Scripted::start(|query, _| {
        let of = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
            pair.and_then(|value| value.parse::<u64>().ok())
        };
        let Some(limit) = of("limit=") else { return Answer::watch(&[]) };
        let from = of("continue=").unwrap_or(0);
        let pods: Vec<_> =
            (from..(from + limit).min(20)).map(|n| pod(&format!("p-{n:02}"), 1)).collect();
        let next = if from + limit < 20 { (from + limit).to_string() } else { String::new() };
        Answer::page(page(&pods, 1, &next))
    })
    .await;
    let small = Options { stream_lists: false, page_size: 20, page_limit: 500, ..options() };
    let world = server.watched(small).await;
    world.ready().await;
    assert_eq!(names(&world).len(), 20);
    let limits = server.queries().iter().filter(|query| query.contains("limit=5")).count();
    assert_eq!(limits, 4, "20 and 10 are too many, 5 are not");
    assert_eq!(world.restarts(Kind::Pod, Reason::Garbage), 2);
}

#[tokio::test]
async fn a_nodes_pods_that_are_too_large_for_one_page_come_by_several() {
    let server = Scripted::start(|query, _| {
        if query.contains("watch=") {
            return Answer::watch(&[]);
        }
        assert!(query.contains("spec.nodeName%3Dn"), "{query}");
        let pods: Vec<_> = (0..20).map(|n| pod(&format!("p-{n:02}"), 1)).collect();
        match (query.contains("limit=10"), query.contains("continue=next")) {
            (false, _) => Answer::page(page(&pods, 1, "")),
            (true, false) => Answer::page(page(&pods[..10], 1, "next")),
            (true, true) => Answer::page(page(&pods[10..], 1, "")),
        }
    })
    .await;
    let small = Options {
        node: Some("n".into()),
        stream_lists: false,
        page_size: 20,
        page_limit: 1_000,
        ..options()
    };
    let world = server.watched(small).await;
    world.ready().await;
    assert_eq!(names(&world).len(), 20);
    assert_eq!(world.restarts(Kind::Pod, Reason::Garbage), 1);
}

#[tokio::test]
async fn versions_that_go_back_in_a_watch_are_listed_anew() {
    let server = Scripted::start(|_, before| match before {
        0 => Answer::watch(&[list_end(90), event("ADDED", &pod("a", 50))]),
        _ => Answer::watch(&[event("ADDED", &pod("b", 50)), list_end(51)]),
    })
    .await;
    let world = server.watched(options()).await;
    has(&world, &["b"]).await;
    assert_eq!(world.restarts(Kind::Pod, Reason::WentBack), 1);
}

#[tokio::test]
async fn a_server_that_is_behind_is_listed_anew() {
    let behind = "{\"kind\":\"Status\",\"message\":\"Too large resource version: 90, current: 5\",\
         \"code\":504,\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}";
    let server = Scripted::start(move |_, before| match before {
        0 => Answer::page(list_end(90)),
        1 => Answer { status: "504 Gateway Timeout", ..Answer::page(behind) },
        _ => Answer::watch(&[event("ADDED", &pod("b", 5)), list_end(5)]),
    })
    .await;
    let world = server.watched(options()).await;
    has(&world, &["b"]).await;
    // The second for the list, which is older than what was known.
    assert_eq!(world.restarts(Kind::Pod, Reason::WentBack), 2);
}

#[tokio::test]
async fn what_is_said_about_an_error_is_cut() {
    let server = Scripted::start(move |_, _| {
        let body = "forbidden ".repeat(1 << 20);
        Answer { status: "403 Forbidden", ..Answer::page(body) }
    })
    .await;
    let world = server.watched(options()).await;
    world.ready().await;
    let message = world.state(Kind::Pod).denied.expect("it is denied").message;
    assert!(message.len() <= 300, "{}", message.len());
}

/// Of several API servers one may be behind. What it knows of the present is nothing.
#[tokio::test]
async fn the_bookmark_of_a_server_that_is_behind_says_nothing() {
    for (version, is_vain) in [(6, 1), (7, 0), (8, 0)] {
        let server = Scripted::start(move |query, before| {
            if query.contains("timeoutSeconds=3&") || query.ends_with("timeoutSeconds=3") {
                return Answer::watch(&[bookmark(version, "{}")]);
            }
            let first = [event("ADDED", &pod("a", 5)), list_end(7)];
            Answer::watch(if before == 0 { &first } else { &[] })
        })
        .await;
        let world = server.watched(options()).await;
        world.ready().await;
        world.progress.want(Kind::Pod);
        let is_answered = |kind: Kind, state: &KindState| kind == Kind::Pod && state.probes > 0;
        world.progresses("an answer", is_answered).await;
        let state = world.state(Kind::Pod);
        assert_eq!((state.probes, state.probes_vain), (1, is_vain), "{version}");
    }
}
