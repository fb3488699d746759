//! A segment of the aggregator's spool.
#![no_main]
#![allow(dead_code, reason = "a segment is only read")]

#[path = "../../../sinks/src/spool/block.rs"]
mod block;
#[path = "../../../sinks/src/spool/codec.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    block::check_segment(data);
});
