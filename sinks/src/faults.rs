//! Mistakes made on purpose, so that a test can see what comes of them.
//!
//! Exists in builds with the feature `faults` only; `FYKE_FAULT` names the mistake.

use std::env;
use std::sync::LazyLock;

static FAULT: LazyLock<String> = LazyLock::new(|| env::var("FYKE_FAULT").unwrap_or_default());

/// Panics if this is the mistake to make.
pub(crate) fn panic_if(fault: &str) {
    assert!(*FAULT != fault, "{fault}: on purpose");
}
