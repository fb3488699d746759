#![no_main]

#[path = "../checks/export_request.rs"]
mod export_request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| export_request::export_request(data));
