//! Names that come from elsewhere than the kernel: the cluster as the API server has it, policies
//! as the Antrea Agent has them, and how long a record waits for either.
mod counts; // what had no name, and why
mod waiting; // connections that wait for theirs
mod agent; // questions to the Antrea Agent of this Node
mod policies; // which rule an id means
mod live; // the cluster as the API server has it
pub mod egress; // by which address Pods leave the cluster

pub use agent::{Agent, AskError};
pub use counts::{Counts, End};
pub use live::{KINDS, Live, MARGINS, listed};
pub use policies::{Asker, Policies, Unnamed};
pub use waiting::Waiting;
