//! The stand-in for an API server, judged by clients we did not write: kubectl and `kube`.

#[path = "api_server/client.rs"]
mod client; // the `kube` crate
#[path = "api_server/kubectl.rs"]
mod kubectl; // the program
