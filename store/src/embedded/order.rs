//! In which order the rows of a row group lie.
//!
//! Pages follow each other in time. Within one, rows between the same two addresses and of the same
//! flow lie together: what they share, from the name of the Pod to the rule, takes next to nothing
//! then, while whoever asks for a time or for few columns reads as much as before.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Int32Type, UInt64Type};
use arrow::error::ArrowError;

use super::chunk::PAGE_ROWS;

/// A row group of so many rows is large: its rows are in order from the first time it is written,
/// and merging copies it. Those of smaller ones are as they came.
pub(crate) const LARGE_ROWS: usize = 65_536;

const DESTINATION: &str = "destinationIP";
const SOURCE: &str = "sourceIP";
const FLOW: &str = "flowId";

/// Puts rows together, page by page; `rows` come in the order of time.
pub(crate) fn by_flow(
    mut rows: Vec<u32>,
    mut column: impl FnMut(&str) -> Result<ArrayRef, ArrowError>,
) -> Result<Vec<u32>, ArrowError> {
    let (to, from, flow) = (column(DESTINATION)?, column(SOURCE)?, column(FLOW)?);
    let wrong = || ArrowError::SchemaError("addresses or flow ids of another type".to_owned());
    // Addresses are told apart by their place in the dictionary, which is as good an order as any.
    let [to, from] = [&to, &from].map(|it| it.as_dictionary_opt::<Int32Type>().ok_or_else(wrong));
    let (to, from) = (to?.keys().values(), from?.keys().values());
    let flow = flow.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?.values();
    for page in rows.chunks_mut(PAGE_ROWS) {
        page.sort_by_cached_key(|row| {
            let row = *row as usize;
            (to[row], from[row], flow[row])
        });
    }
    Ok(rows)
}
