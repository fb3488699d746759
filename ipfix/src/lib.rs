//! IP Flow Information Export (IPFIX), RFC 7011.
//!
//! The crate turns bytes into records and back, and leaves everything else to its caller: which
//! socket they travel on, what the records mean, and what becomes of a peer that sends nonsense.
//! The feature `transport` adds the sockets, for tokio.
//!
//! Two things decide its shape:
//!
//! - *A Template is compiled once and used for every record.* [`decode::Session`] keeps beside
//!   each Template whatever its caller compiled from it, and hands both out with each record, so
//!   nothing is looked up by name or id while records flow.
//! - *Everything from the wire is read through [`reader::Reader`].* A Set, a Template Record and
//!   a Data Record each get a reader of their own, so a length that lies cannot reach the
//!   neighbours.
//!
//! # Where to begin
//!
//! | To | begin with |
//! |---|---|
//! | say what a record consists of | [`registry::iana`], [`template::Template`] |
//! | write messages | [`encode::Encoder`] |
//! | read messages | [`decode::Session`], [`value::Value`] |
//! | read and write files of messages | [`file::Messages`], [`file::FileWriter`] |
//! | know elements of other enterprises | [`registry::Registry`], [`type_information`] |
//! | write and read lists within records | [`encode::RecordWriter`], [`decode::list`] |
//! | send over TCP, TLS or UDP (feature `transport`) | `transport::export::ExportingProcess` |
//! | collect over TCP, TLS or UDP (feature `transport`) | `transport::collect::CollectingProcess` |
//!
//! # Features
//!
//! | Feature | Adds | By default |
//! |---|---|---|
//! | `transport` | the module `transport`, and tokio | yes |
//! | `tls` | TLS in it, by rustls with the cryptography the caller configures | no |
//!
//! Without `transport` there is no asynchronous runtime in the tree and, but for [`mod@file`], no
//! input or output.
//!
//! # Example
//!
//! ```
//! use ipfix::{
//!     decode::{Limits, Session},
//!     encode::{Encoder, Packing},
//!     registry::iana,
//!     template::{Template, TemplateId},
//!     value,
//! };
//!
//! // An exporter describes its records, and sends one.
//! let elements = [iana::INTERFACE_NAME, iana::OCTET_DELTA_COUNT];
//! let template = Template::new(TemplateId::MIN, elements);
//! let mut encoder = Encoder::new(7, 1_400, Packing::Full);
//! let mut wire = Vec::new();
//! encoder.template(1_700_000_000, &template, &mut wire)?;
//! let first_message = wire.len();
//! encoder.record(1_700_000_000, template.id, &mut wire, |record| {
//!     record.string("eth0");
//!     record.u64(4_096);
//! })?;
//! encoder.finish(&mut wire);
//!
//! // A collector learns where the octets are, and finds them in every record.
//! let mut session = Session::new(Limits::default());
//! let mut octets = 0;
//! let (template_message, data_message) = wire.split_at(first_message);
//! for message in [template_message, data_message] {
//!     session.decode(
//!         message,
//!         |template| {
//!             let octets = iana::OCTET_DELTA_COUNT.into();
//!             template.fields.iter().position(|field| *field == octets)
//!         },
//!         |position, _, record| {
//!             let value = position.and_then(|index| record.value(index));
//!             octets += value.and_then(value::unsigned).unwrap_or(0);
//!         },
//!     )?;
//! }
//! assert_eq!(octets, 4_096);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

// What is said
pub mod list; // values that are lists
pub mod registry; // Information Elements and their types
pub mod template; // which elements a record has, in which order
pub mod type_information; // elements that describe themselves
pub mod value; // the bytes of one field, typed

// How it is written
pub mod encode; // records become messages

// How it is read
pub mod decode; // messages become records
pub mod message; // the frame of a message, and what can be wrong with it
pub mod reader; // bytes, bounds-checked

// Where messages come from
pub mod file; // messages back to back in a file
mod framing; // whole messages out of a stream of bytes
#[cfg(feature = "transport")]
pub mod transport; // messages on a connection
