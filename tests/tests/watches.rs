//! Watches of a stand-in API server, while everything goes wrong that can: what is published in
//! the end is what a plain list of the server shows.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

#[path = "watches/world.rs"]
mod world; // a server, watches of it, and a plain picture of what they tell
#[path = "watches/truth.rs"]
mod truth; // what the server has, read by a client we did not write
#[path = "watches/faults.rs"]
mod faults; // one at a time, while objects change
#[path = "watches/access.rs"]
mod access; // rules that are missing, and credentials that have expired
#[path = "watches/hostile.rs"]
mod hostile; // objects that nobody should make
#[path = "watches/scripted.rs"]
mod scripted; // answers that no API server should give
#[path = "watches/large.rs"]
mod large; // a large cluster, faults all the time
#[path = "watches/memory.rs"]
mod memory; // what restarts cost
