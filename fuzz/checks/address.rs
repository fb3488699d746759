//! What must hold of any text that is to be an address.

use config::address::{self, Host};

/// What is read is written so that it is read again, and can be part of a URL.
pub(crate) fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = address::parse(text) else { return };
    assert_eq!(address::parse(&read.to_string()).as_ref(), Ok(&read));
    assert!(read.port > 0);
    let parts = match &read.host {
        Host::Named(host) => vec![host],
        Host::Service { namespace, name } => vec![namespace, name],
    };
    for part in parts {
        assert!(!part.is_empty() && part.len() <= 253 && text.contains(part.as_str()));
        assert!(!part.contains(['/', '[', ']', '"', ' ', '\n']), "{part:?}");
    }
}
