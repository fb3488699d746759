//! What the machine must offer before a lab can be built on it.
//!
//! Everything that is missing is reported at once, with the Debian package to
//! install, so that one visit to the package manager is enough.

use std::fmt;
use std::path::Path;

/// The programs the demo runs, and the Debian packages that hold them.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ping", "iputils-ping"),
    ("sysctl", "procps"),
    ("kill", "procps"),
];

/// `CAP_NET_ADMIN`, then `CAP_SYS_ADMIN`: the first to configure a network, the second
/// to make a namespace (capabilities(7)).
const CAPABILITIES: u64 = 1 << 12 | 1 << 21;

/// One thing the demo needs and this machine does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Making and configuring network namespaces takes root.
    Privilege,
    Program {
        name: &'static str,
        package: &'static str,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privilege => f.write_str("root (CAP_NET_ADMIN and CAP_SYS_ADMIN): use sudo"),
            Self::Program { name, package } => {
                write!(f, "the program `{name}`: apt-get install {package}")
            }
        }
    }
}

/// Lists all that is missing; empty when the demo can run here.
pub fn missing() -> Vec<Missing> {
    let mut missing = Vec::new();
    if !is_privileged(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        missing.push(Missing::Privilege);
    }
    let absent = PROGRAMS.iter().filter(|(name, _)| !is_installed(name));
    missing.extend(absent.map(|&(name, package)| Missing::Program { name, package }));
    missing
}

fn is_privileged(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAPABILITIES == CAPABILITIES)
}

/// Whether `Command` would find `name`: like the shell, it looks along `PATH`.
fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_file(&directory.join(name)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privilege_is_read_from_the_effective_capabilities() {
        assert!(is_privileged("Name:\tfyke\nCapEff:\t000001ffffffffff\n"));
        assert!(!is_privileged("Name:\tfyke\nCapEff:\t0000000000000000\n"));
        assert!(!is_privileged("CapEff:\t0000000000001000\n"), "CAP_NET_ADMIN alone is not enough");
        assert!(!is_privileged(""));
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let missing = Missing::Program { name: "nft", package: "nftables" };
        assert_eq!(missing.to_string(), "the program `nft`: apt-get install nftables");
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }
}
