//! Orders that others expect attributes in, by the names in the field table.

/// What an aggregator's records tell beyond addresses and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Antrea's `includeK8sNames`.
    pub names: bool,
    /// Antrea's `includeK8sUIDs`.
    pub uids: bool,
    pub mode: Mode,
}

/// What an aggregator makes of the records it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One record of what two Nodes told.
    #[default]
    Aggregate,
    /// Each as it came, with who told it.
    Proxy,
}

/// The columns of the log of a release of Antrea's Flow Aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogColumns {
    /// 1.12, 26 columns.
    V1_12,
    /// 1.13 and 1.14, 28 columns.
    V1_13,
    /// 1.15, 30 columns.
    V1_15,
    /// 2.0 to 2.5, 31 columns.
    V2_0,
    /// 2.6, 29 columns.
    V2_6,
    /// 2.7 and later, 30 columns.
    #[default]
    V2_7,
}
