//! How full the kernel's table is.
//!
//! A full one makes the kernel refuse connections, which nobody sees as a flow.

use std::path::Path;
use std::{fs, io};

const DIRECTORY: &str = "/proc/sys/net/netfilter";
/// Percent of the table from which on it counts as nearly full.
const NEARLY_FULL: u64 = 90;

/// Connections in the kernel's table, of all zones of this network namespace, and how many it
/// holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableFill {
    pub count: u64,
    pub max: u64,
}

impl TableFill {
    /// Reads `nf_conntrack_count` and `nf_conntrack_max` of the current network namespace.
    pub fn read() -> io::Result<Self> {
        Self::read_in(Path::new(DIRECTORY))
    }

    fn read_in(directory: &Path) -> io::Result<Self> {
        let number = |name| {
            let text = fs::read_to_string(directory.join(name))?;
            text.trim().parse().map_err(io::Error::other)
        };
        Ok(Self { count: number("nf_conntrack_count")?, max: number("nf_conntrack_max")? })
    }

    /// 0 means that there is no limit.
    pub(crate) const fn is_nearly_full(self) -> bool {
        self.max > 0 && self.count.saturating_mul(100) > self.max.saturating_mul(NEARLY_FULL)
    }
}

/// Whether the table was nearly full when last looked at.
#[derive(Debug, Default)]
pub struct Fullness(bool);

impl Fullness {
    /// Returns whether the table has become nearly full since the last call.
    pub fn has_come(&mut self, fill: TableFill) -> bool {
        let before = std::mem::replace(&mut self.0, fill.is_nearly_full());
        self.0 && !before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_counts_once() {
        let mut fullness = Fullness::default();
        let told = [90, 91, 100, 90, 0, 95].map(|count| {
            let fill = TableFill { count, max: 100 };
            fullness.has_come(fill)
        });
        assert_eq!(told, [false, true, false, false, false, true]);
        assert!(!Fullness::default().has_come(TableFill { count: 5, max: 0 }));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("nf_conntrack_count"), "12\n").unwrap();
        TableFill::read_in(folder.path()).unwrap_err();
        fs::write(folder.path().join("nf_conntrack_max"), "262144\n").unwrap();
        let read = TableFill::read_in(folder.path()).unwrap();
        assert_eq!(read, TableFill { count: 12, max: 262_144 });
        fs::write(folder.path().join("nf_conntrack_max"), "many").unwrap();
        TableFill::read_in(folder.path()).unwrap_err();
    }
}
