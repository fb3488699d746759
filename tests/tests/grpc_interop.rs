//! The gRPC project's own implementation reads our messages, and we read its.

#[path = "grpc_interop/collectors.rs"]
mod collectors;
#[path = "grpc_interop/exporters.rs"]
mod exporters;

use std::process::Child;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
