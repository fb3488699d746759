//! The stand-in for an API server, judged by clients we did not write: kubectl and `kube`.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

#[path = "api_server/client.rs"]
mod client; // the `kube` crate
#[path = "api_server/faults.rs"]
mod faults; // what goes wrong
#[path = "api_server/kubectl.rs"]
mod kubectl; // the program
