//! Whether the kernel is set up to tell what a flow record needs.
//!
//! The settings are per network namespace, and `/proc/sys/net` shows those of the reader's own.
//! They only concern connections that begin afterwards.

use std::{fs, io, path::Path};

const DIRECTORY: &str = "/proc/sys/net/netfilter";

/// What must be 1, or at least not 0, and what it costs if not.
const WANTED: [(&str, &str); 3] = [
    ("nf_conntrack_acct", "connections that begin now are not counted and never reported"),
    ("nf_conntrack_timestamp", "start and end times are those of the first and last sight"),
    ("nf_conntrack_events", "connections shorter than the interval between two dumps are missed"),
];

/// One setting that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum SysctlProblem {
    #[error("net.netfilter.{name} is 0, so {cost}; set it to 1")]
    Off { name: &'static str, cost: &'static str },
    #[error("net.netfilter.{name} cannot be read")]
    Unreadable {
        name: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("net.netfilter.{name} is 0 and cannot be set, so {cost}")]
    Stuck {
        name: &'static str,
        cost: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Reads the settings of the current network namespace and returns what is wrong with them.
///
/// `nf_conntrack_events` may also be 2, the default since Linux 5.19: events are kept only for
/// connections that begin while somebody listens. Those that began before end without a `DESTROY`
/// event, and the meter finds out by the next dump.
pub fn check_sysctls() -> Vec<SysctlProblem> {
    check(Path::new(DIRECTORY))
}

/// Sets to 1 what is 0 in the current network namespace, and returns what is wrong after that.
///
/// Like Antrea's Agent, but for `nf_conntrack_events`, which that never needs.
pub fn turn_on_sysctls() -> Vec<SysctlProblem> {
    turn_on(Path::new(DIRECTORY))
}

fn turn_on(directory: &Path) -> Vec<SysctlProblem> {
    let set = |problem| match problem {
        SysctlProblem::Off { name, cost } => match fs::write(directory.join(name), "1") {
            Ok(()) => None,
            Err(source) => Some(SysctlProblem::Stuck { name, cost, source }),
        },
        other => Some(other),
    };
    check(directory).into_iter().filter_map(set).collect()
}

fn check(directory: &Path) -> Vec<SysctlProblem> {
    let problem = |&(name, cost)| match fs::read_to_string(directory.join(name)) {
        Ok(value) if value.trim() == "0" => Some(SysctlProblem::Off { name, cost }),
        Ok(_) => None,
        Err(source) => Some(SysctlProblem::Unreadable { name, source }),
    };
    WANTED.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let problems = check(Path::new("/nonexistent"));
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), WANTED.len());
        assert_eq!(texts[0], "net.netfilter.nf_conntrack_acct cannot be read");
    }

    #[test]
    fn what_is_off_is_set_if_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in WANTED.iter().map(|(name, _)| name).zip(["0\n", "1\n", "2\n"]) {
            fs::write(folder.path().join(name), value).unwrap();
        }
        assert_eq!(check(folder.path()).len(), 1);
        assert_eq!(turn_on(folder.path()).len(), 0);
        let values = WANTED.map(|(name, _)| fs::read_to_string(folder.path().join(name)).unwrap());
        assert_eq!(values, ["1", "1\n", "2\n"], "what is on stays as it is");
    }
}
