//! Certificates in a cluster: made once, read by programs we did not write, and rotated under
//! open sessions.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

#[path = "certificates/cluster.rs"]
mod cluster; // a cluster, and what an exporter holds of it
#[path = "certificates/echo.rs"]
mod echo; // a server that says everything again
#[path = "certificates/contents.rs"]
mod contents; // what is made, and made anew
#[path = "certificates/replicas.rs"]
mod replicas; // many at once
#[path = "certificates/rotation.rs"]
mod rotation; // sessions while certificates change
#[path = "certificates/followers.rs"]
mod followers; // who reads what others keep
#[path = "certificates/foreign.rs"]
mod foreign; // kubectl, openssl, Python
#[path = "certificates/session.rs"]
mod session; // the transport of flows
