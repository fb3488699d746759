//! Ways to run all of Fyke in a test: the pipeline in one process for scenarios, and the binary
//! as users get it.
//!
//! In the pipeline everything between the kernel and the disk is the product's own code, bytes
//! on the wire included. Time is an argument, so a scenario of minutes takes milliseconds.
pub mod connections; // what the kernel of each Node would say
pub mod wire; // what an exporter sends
pub mod pipeline; // exporters, wire, aggregator, store
pub mod policies; // what exporters know of rules
pub mod egresses; // and of ways out
pub mod scenario; // the text form
pub mod binary; // real processes
pub mod alone; // one of them, in a namespace of its own
pub mod doorway; // how a process in a namespace reaches what is not in it
pub mod ports; // where servers listen that must be told
pub mod way; // writes that arrive late
pub mod api_server; // what the processes ask about the cluster
pub mod agent; // what they ask the Antrea Agent
pub mod authority; // who they are to each other
pub mod clickhouse; // where flows are kept
pub mod records; // what goes over the wire in tests
pub mod numbered; // many flows, each known by its number
pub mod s3; // where objects are stored
