//! The command line: the daemons, queries of the store, and the demo.
mod app; // which command was typed
mod output; // what it says
pub mod flows; // what is in the store
pub mod store; // that store, and others
pub mod clickhouse; // the tables of a server
pub mod ipfix; // messages from and to anywhere
pub mod doctor; // what keeps flows from arriving
pub mod demo; // the whole of Fyke on this machine's kernel
pub mod seen; // the store's flows as the demo's check wants them

pub use app::main;
