//! `fyke demo`: a small cluster, real traffic, and a judge that is not us.
//!
//! Fyke's claim is that its numbers are the kernel's numbers. The demo builds two
//! Nodes out of network namespaces, runs the real exporters and the real aggregator
//! on them, drives traffic of every kind through them, and lays what Fyke recorded
//! beside what `conntrack -E` saw. Nothing in [`judge`] shares code with the crates
//! it judges.
//!
//! lab ─▶ traffic ─▶ judge ─▶ check

// In the order of the work; rustfmt would sort them without the empty lines.
pub mod requirements; // what the machine must offer

pub mod lab; // namespaces, routes, Services

pub mod traffic; // which connections are made

pub mod peer; // the programs that make them, inside the namespaces

pub mod judge; // what the kernel counted

pub mod check; // Fyke's numbers beside the kernel's

pub mod run; // ties them together

pub mod replay; // a recording instead of the kernel

mod program; // other programs, and what they say when they fail
mod totals; // packets and octets of one connection

pub use totals::Totals;
