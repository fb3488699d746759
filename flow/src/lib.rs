//! The words of Fyke: what a flow is, and every attribute it has.
//!
//! [`FlowRecord`] is what travels through the pipeline. [`FIELDS`] describes each of its
//! attributes once; IPFIX templates, decode plans, table columns and JSON keys are all derived
//! from it, so that a new attribute is one new row.
mod record; // a flow, as one observer or the aggregator tells it
mod name; // strings shared by many flows
mod shared; // parts shared by many flows
mod uid; // identities of objects
mod fields; // every attribute, once
mod domain; // what a Node calls itself
mod told; // parts that were told before, by their octets
mod wire; // records as IPFIX Data Records, by the table
mod layout; // records as an aggregator tells them
mod reversed; // what came back, as a flow of its own

pub use domain::observation_domain;
pub use fields::{
    ACTIONS, ADDED, Access, CLUSTER, Contents, DELTA_OCTETS, DELTA_PACKETS, Elements, FIELDS,
    Field, Group, KeyColumn, LogColumn, LogColumns, Mode, Profile, ROLL_UP_TIME, RollUp, S3Column,
    S3Columns, SPAN, TIME_INSERTED, TableColumn,
};
pub use layout::{Layout, Value};
pub use name::{Interner, LABELS_LIMIT, Name, NameRoom};
pub use record::{
    Correlation, Counters, Direction, Endpoint, Exit, FlowEndReason, FlowKey, FlowRecord, FlowType,
    Joined, ObservedBy, Origin, PolicyRule, Service, Side, protocol,
};
pub use shared::{Part, Shared};
pub use told::Told;
pub use uid::{NoUid, Uid, Uids};
pub use wire::{Family, Plan, encode, template};

use std::sync::Arc;

/// What stages hand to each other: records that nobody changes any more.
pub type Batch = Arc<[FlowRecord]>;
