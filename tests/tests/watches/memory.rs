//! What restarts cost.

use std::process::Command;
use std::{env, fs};

use k8s::watch::Options;
use tests::api_server::{End, StandIn};

use super::world::{World, options};

/// Set in the process that measures.
const MEASURING: &str = "FYKE_TEST_MEASURES_MEMORY";
const PODS: usize = 2_000;

/// Other tests of this process would be measured too: it starts one for itself.
#[test]
fn restarts_take_no_memory() {
    if env::var_os(MEASURING).is_some() {
        return measure();
    }
    let mut alone = Command::new(env::current_exe().unwrap());
    alone.args(["--exact", "memory::restarts_take_no_memory", "--nocapture"]);
    assert!(alone.env(MEASURING, "1").status().unwrap().success());
}

#[tokio::main(flavor = "current_thread")]
async fn measure() {
    let server = StandIn::start();
    server.load(10, PODS);
    for stream_lists in [true, false] {
        let world =
            World::watch(&server, Options { page_size: 500, stream_lists, ..options() }).await;
        world.ready().await;
        let mut lists = 1;
        for _ in 0..3 {
            lists = list_anew(&server, &world, lists).await;
        }
        let before = resident_bytes();
        for _ in 0..12 {
            lists = list_anew(&server, &world, lists).await;
        }
        let grown = resident_bytes().saturating_sub(before);
        // One list that is kept would be more than a megabyte.
        eprintln!("{lists} lists of {PODS} Pods; grown by {grown} of {before} bytes");
        assert!(grown < 6 << 20, "{grown} bytes after {lists} lists");
    }
}

async fn list_anew(server: &StandIn, world: &World, lists: u64) -> u64 {
    world.watching(server).await;
    server.end_watches(End::Gone);
    world.progresses("lists", |_, state| state.lists > lists).await;
    lists + 1
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}
