//! What a policy decided about a connection that it denied.

use flow::PolicyRule;

/// The side whose policy decides: that of the Pod a packet goes to, or of the one it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Ingress,
    Egress,
}

/// What became of a denied packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Drop,
    /// Dropped, and the sender was told.
    Reject,
}

/// Where to find the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleId {
    /// The Antrea Agent's id of it, which stands in the connection's label as well.
    Label(u32),
    /// No rule: some K8s `NetworkPolicy` isolates the Pod, and none lets the packet through.
    Isolation,
    /// By its number in [`crate::deny::Rules`].
    Named(u32),
    Unknown,
}

/// Who denied a connection, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// `None` if nobody can tell.
    pub direction: Option<Direction>,
    pub action: Action,
    pub rule: RuleId,
}

impl Action {
    /// Antrea's `ingressNetworkPolicyRuleAction`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Drop => PolicyRule::DROP,
            Self::Reject => PolicyRule::REJECT,
        }
    }
}
