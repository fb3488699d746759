//! What happens in a cluster, to the millisecond: the truth.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

use k8s::objects::{Phase, Pod};

pub(crate) const NODES: usize = 1_000;
const PODS: usize = 20_000;
/// Each one ends a Pod and makes another, or gives one another address.
const REPLACEMENTS_PER_SECOND: u64 = 100;
/// When the script begins and how long it lasts.
pub(crate) const BEGIN: u64 = 1_700_000_000_000;
pub(crate) const LASTS: u64 = 60_000;
/// How long it takes a kubelet at most to tell the address of a Pod.
pub(crate) const REPORT: u64 = 2_000;

/// An address in both families: they change hands together.
pub(crate) type Slot = usize;

pub(crate) fn addresses(slot: Slot) -> [IpAddr; 2] {
    let [a, b, c, d] = u32::try_from(slot).unwrap().to_be_bytes();
    let segment = |high, low| u16::from_be_bytes([high, low]);
    let (upper, lower) = (segment(a, b), segment(c, d));
    [[10 + a, b, c, d].into(), [0xfd00, 0, 0, 0, 0, 0, upper, lower].into()]
}

/// `pod` has the addresses of a slot from one time to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenancy {
    pub pod: usize,
    pub from: u64,
    pub to: u64,
}

/// The API server commits a change.
pub(crate) struct Event {
    pub at: u64,
    pub pod: usize,
    /// As it is now; `None` if it is deleted.
    pub object: Option<Pod>,
}

#[derive(Default)]
pub(crate) struct Script {
    pub events: Vec<Event>,
    pub tenancies: HashMap<Slot, Vec<Tenancy>>,
    /// By Pod.
    pub names: Vec<String>,
    /// By Pod, cut to the second as the API shows it.
    pub created: Vec<u64>,
    /// By Node: how far its clock is ahead, in milliseconds.
    pub clocks: Vec<i64>,
}

/// A linear congruential generator: the same numbers each time.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Create(usize),
    Start(usize),
    /// The container runtime gives it an address.
    Assign(usize),
    /// The kubelet tells the API server which.
    Report(usize),
    /// The address is free again.
    Release(usize),
    /// The kubelet tells that it has succeeded.
    End(usize),
    Delete(usize),
    /// Some Pod comes to its end.
    Replace,
}

struct Made {
    node: usize,
    object: Pod,
    slot: Option<Slot>,
    is_in_api: bool,
    /// The address is to be given at this time, whatever it normally takes.
    assign_at: Option<u64>,
}

struct Playing {
    script: Script,
    random: Random,
    acts: BinaryHeap<Reverse<(u64, u64, Act)>>,
    count: u64,
    pods: Vec<Made>,
    /// Running, and not about to change.
    idle: Vec<usize>,
    /// By Node; the one freed last is given first, as some runtimes do.
    free: Vec<Vec<Slot>>,
    used: Vec<usize>,
}

impl Script {
    pub(crate) fn play(seed: u64) -> Self {
        let mut random = Random(seed);
        let clocks = (0..NODES).map(|_| i64::try_from(random.below(400)).unwrap() - 200).collect();
        let mut playing = Playing {
            script: Self { clocks, ..Self::default() },
            random,
            acts: BinaryHeap::new(),
            count: 0,
            pods: Vec::new(),
            idle: Vec::new(),
            free: vec![Vec::new(); NODES],
            used: vec![0; NODES],
        };
        for index in 0..PODS {
            let long_ago = BEGIN - 3_600_000 + playing.random.below(3_000_000);
            playing.make(long_ago, index % NODES, format!("pod-{index}"), None);
        }
        for index in 0..LASTS * REPLACEMENTS_PER_SECOND / 1_000 {
            playing.act(BEGIN + index * 1_000 / REPLACEMENTS_PER_SECOND, Act::Replace);
        }
        while let Some(Reverse((at, _, act))) = playing.acts.pop() {
            playing.perform(at, act);
        }
        playing.script
    }
}

impl Playing {
    fn act(&mut self, at: u64, act: Act) {
        self.count += 1;
        self.acts.push(Reverse((at, self.count, act)));
    }

    fn make(&mut self, at: u64, node: usize, name: String, assign_at: Option<u64>) {
        let pod = self.pods.len();
        let object = Pod {
            uid: format!("uid-{pod}").as_str().into(),
            namespace: "shop".into(),
            name: name.as_str().into(),
            phase: Phase::Pending,
            ..Pod::default()
        };
        self.pods.push(Made { node, object, slot: None, is_in_api: false, assign_at });
        self.script.created.push(at / 1_000 * 1_000);
        self.script.names.push(name);
        self.act(at, Act::Create(pod));
    }

    /// The second that the clock of a Pod's Node shows.
    fn second(&self, pod: usize, at: u64) -> u64 {
        let clock = self.script.clocks[self.pods[pod].node];
        at.checked_add_signed(clock).unwrap() / 1_000 * 1_000
    }

    fn tell(&mut self, at: u64, pod: usize) {
        if self.pods[pod].is_in_api {
            let object = Some(self.pods[pod].object.clone());
            self.script.events.push(Event { at, pod, object });
        }
    }

    fn perform(&mut self, at: u64, act: Act) {
        match act {
            Act::Create(pod) => {
                let made = &mut self.pods[pod];
                made.is_in_api = true;
                made.object.created_ms = at / 1_000 * 1_000;
                self.tell(at, pod);
                let latest = self.pods[pod].assign_at.map_or(3_000, |assign| assign - at);
                let start = at + self.random.below(latest.max(1));
                self.act(start, Act::Start(pod));
            }
            Act::Start(pod) => {
                self.pods[pod].object.started_ms = self.second(pod, at);
                self.pods[pod].object.node =
                    format!("node-{}", self.pods[pod].node).as_str().into();
                self.tell(at, pod);
                let natural = at + 50 + self.random.below(1_500);
                self.act(self.pods[pod].assign_at.unwrap_or(natural), Act::Assign(pod));
            }
            Act::Assign(pod) => self.assign(at, pod),
            Act::Report(pod) => {
                let slot = self.pods[pod].slot.expect("it was assigned");
                self.pods[pod].object.addresses = addresses(slot).to_vec();
                self.pods[pod].object.phase = Phase::Running;
                self.tell(at, pod);
                self.idle.push(pod);
            }
            Act::Release(pod) => self.release(at, pod),
            Act::End(pod) => {
                self.pods[pod].object.phase = Phase::Succeeded;
                self.pods[pod].object.network_ready_ms = 0;
                if self.random.percent(70) {
                    self.pods[pod].object.ended_ms = self.second(pod, at);
                }
                self.tell(at, pod);
            }
            Act::Delete(pod) => {
                self.pods[pod].is_in_api = false;
                self.script.events.push(Event { at, pod, object: None });
            }
            Act::Replace => self.replace(at),
        }
    }

    fn assign(&mut self, at: u64, pod: usize) {
        let node = self.pods[pod].node;
        let slot = self.free[node].pop().unwrap_or_else(|| {
            self.used[node] += 1;
            node * 256 + self.used[node]
        });
        self.pods[pod].slot = Some(slot);
        let tenancy = Tenancy { pod, from: at, to: u64::MAX };
        self.script.tenancies.entry(slot).or_default().push(tenancy);
        let lag = 100 + self.random.below(REPORT - 200);
        // On every tenth Node the kubelet is too old to tell this; there it is what containers
        // are ready that shows it, and those of some never are.
        let noticed = if node.is_multiple_of(10) { lag } else { self.random.below(lag) };
        let is_told = !node.is_multiple_of(10) || !pod.is_multiple_of(7);
        let ready = self.second(pod, at + noticed);
        self.pods[pod].object.network_ready_ms = if is_told { ready } else { 0 };
        self.act(at + lag, Act::Report(pod));
    }

    fn release(&mut self, at: u64, pod: usize) {
        let slot = self.pods[pod].slot.take().expect("it has an address");
        let tenancies = self.script.tenancies.get_mut(&slot).expect("somebody has had it");
        tenancies.last_mut().expect("somebody has it").to = at;
        self.free[self.pods[pod].node].push(slot);
    }

    /// A Pod comes to its end, in one of the ways there are, and another takes its place.
    fn replace(&mut self, now: u64) {
        if self.idle.is_empty() {
            return;
        }
        let at = self.random.index(self.idle.len());
        let pod = self.idle.swap_remove(at);
        let (node, name) = (self.pods[pod].node, self.pods[pod].object.name.to_string());
        let mut random = |limit| self.random.below(limit);
        let [kind, a, b, c, d] =
            [random(100), random(1_000), random(1_500), random(20_000), random(400)];
        let released = match kind {
            // Its sandbox is made anew, with another address.
            0..10 => {
                self.act(now, Act::Release(pod));
                return self.act(now + 200 + b, Act::Assign(pod));
            }
            // Deleted; gone once its network is.
            10..60 => {
                self.act(now + a, Act::Release(pod));
                self.act(now + a + b.min(1_000), Act::Delete(pod));
                now + a
            }
            // Deleted by force: it may run on for a while.
            60..75 => {
                self.act(now, Act::Delete(pod));
                self.act(now + 2 * b, Act::Release(pod));
                now + 2 * b
            }
            // Has done its work, and is deleted some time later.
            _ => {
                self.act(now + 500 + a, Act::Release(pod));
                self.act(now + a + b, Act::End(pod));
                self.act(now + a + b + c, Act::Delete(pod));
                now + 500 + a
            }
        };
        if (10..30).contains(&kind) {
            // As a StatefulSet does: the same name again.
            return self.make(now + a + b.min(1_000) + d, node, name, None);
        }
        let name = format!("pod-{}", self.pods.len());
        if self.random.percent(60) {
            // The next one is only waiting for an address.
            self.make(now, node, name, Some(released + d));
        } else {
            self.make(now + 2 * b, node, name, None);
        }
    }
}
