//! The whole pipeline in one process, for scenarios: Pods and connections in, records out.
//!
//! Everything between the kernel and the disk is the product's own code, bytes on the wire
//! included. Time is an argument, so a scenario of minutes takes milliseconds.
pub mod connections; // what the kernel of each Node would say
pub mod pipeline; // exporters, wire, aggregator, store
pub mod scenario; // the text form
