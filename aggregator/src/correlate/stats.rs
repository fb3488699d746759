//! What correlation has counted.

use super::flow_entry::Admitted;

/// What happened, counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CorrelatorStats {
    pub received: u64,
    pub emitted: u64,
    /// Flows whose two halves were joined.
    pub joined: u64,
    /// Flows told with one half only, since the other never came.
    pub unpaired: u64,
    /// Flows whose other half came after they had been told alone.
    pub joined_late: u64,
    /// Records that continue a flow of which earlier records never came.
    pub gaps: u64,
    /// Octets (both directions) that those records told.
    pub gap_octets: u64,
    /// Records whose counters are below those of earlier ones: somebody reset them, or the
    /// exporter does not tell two connections apart. What they count is not told.
    pub totals_fell: u64,
    /// Flows continued from what had been told of them in an earlier life.
    pub resumed: u64,
    /// Halves whose earlier life was forgotten for want of room.
    pub crowded_out: u64,
    /// Records of flows that are told with all others of their Node, because `max_flows` are being
    /// followed already.
    pub folded: u64,
    /// Octets (both directions) of those.
    pub folded_octets: u64,
    /// Names of TCP states beyond those there is room for.
    pub states_left_out: u64,
}

impl CorrelatorStats {
    #[inline]
    pub(super) fn admitted(&mut self, admitted: Admitted) {
        self.resumed += u64::from(admitted.resumed);
        self.gaps += u64::from(admitted.gap_octets > 0);
        // What hostile counters amount to is not worth an overflow.
        self.gap_octets = self.gap_octets.saturating_add(admitted.gap_octets);
        self.totals_fell += u64::from(admitted.fell);
    }

    /// Adds what another correlator has counted.
    pub fn add(&mut self, other: &Self) {
        let Self { received, emitted, joined, unpaired, joined_late, gaps, gap_octets, .. } = other;
        let Self { totals_fell, resumed, crowded_out, folded, folded_octets, .. } = other;
        self.received += received;
        self.emitted += emitted;
        self.joined += joined;
        self.unpaired += unpaired;
        self.joined_late += joined_late;
        self.gaps += gaps;
        self.gap_octets = self.gap_octets.saturating_add(*gap_octets);
        self.totals_fell += totals_fell;
        self.resumed += resumed;
        self.crowded_out += crowded_out;
        self.folded += folded;
        self.folded_octets = self.folded_octets.saturating_add(*folded_octets);
        self.states_left_out += other.states_left_out;
    }
}
