//! The template of Antrea's Flow Aggregator (v2.7), element by element, and what each depends on.

use super::orders::{Contents, Mode};

/// What stands at a place of the template.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A row of the table, by its name; of two elements, the one of the template's family.
    Attribute(&'static str),
    /// As before, but of two elements this one, whatever the template's family.
    V4(&'static str),
    V6(&'static str),
    /// What the aggregator calls its cluster.
    ClusterId,
}

/// When it stands there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Always,
    Names,
    Uids,
    NamesOrUids,
    Aggregate,
    Proxy,
}

impl When {
    pub(crate) fn holds(self, contents: Contents) -> bool {
        match self {
            Self::Always => true,
            Self::Names => contents.names,
            Self::Uids => contents.uids,
            Self::NamesOrUids => contents.names || contents.uids,
            Self::Aggregate => contents.mode == Mode::Aggregate,
            Self::Proxy => contents.mode == Mode::Proxy,
        }
    }
}

use Place::{Attribute, ClusterId, V4, V6};
use When::{Aggregate, Always, Names, NamesOrUids, Proxy, Uids};

#[rustfmt::skip] // one place, one line
pub(crate) static PLACES: [(Place, When); 83] = [
    (Attribute("flowStartSeconds"), Always),
    (Attribute("flowEndSeconds"), Always),
    (Attribute("flowEndReason"), Always),
    (Attribute("sourceTransportPort"), Always),
    (Attribute("destinationTransportPort"), Always),
    (Attribute("protocolIdentifier"), Always),
    (Attribute("packetTotalCount"), Always),
    (Attribute("octetTotalCount"), Always),
    (Attribute("packetDeltaCount"), Always),
    (Attribute("octetDeltaCount"), Always),
    (Attribute("sourceIP"), Always),
    (Attribute("destinationIP"), Always),
    (Attribute("reversePacketTotalCount"), Always),
    (Attribute("reverseOctetTotalCount"), Always),
    (Attribute("reversePacketDeltaCount"), Always),
    (Attribute("reverseOctetDeltaCount"), Always),
    (Attribute("sourcePodName"), Names),
    (Attribute("sourcePodNamespace"), Names),
    (Attribute("sourcePodUUID"), Uids),
    (Attribute("sourceNodeName"), Names),
    (Attribute("sourceNodeUUID"), Uids),
    (Attribute("destinationPodName"), Names),
    (Attribute("destinationPodNamespace"), Names),
    (Attribute("destinationPodUUID"), Uids),
    (Attribute("destinationNodeName"), Names),
    (Attribute("destinationNodeUUID"), Uids),
    (Attribute("destinationServicePort"), Always),
    (Attribute("destinationServicePortName"), Names),
    (Attribute("destinationServiceUUID"), Uids),
    (Attribute("ingressNetworkPolicyName"), Names),
    (Attribute("ingressNetworkPolicyNamespace"), Names),
    (Attribute("ingressNetworkPolicyUUID"), Uids),
    (Attribute("ingressNetworkPolicyType"), Always),
    (Attribute("ingressNetworkPolicyRuleName"), NamesOrUids),
    (Attribute("ingressNetworkPolicyRuleAction"), Always),
    (Attribute("egressNetworkPolicyName"), Names),
    (Attribute("egressNetworkPolicyNamespace"), Names),
    (Attribute("egressNetworkPolicyUUID"), Uids),
    (Attribute("egressNetworkPolicyType"), Always),
    (Attribute("egressNetworkPolicyRuleName"), NamesOrUids),
    (Attribute("egressNetworkPolicyRuleAction"), Always),
    (Attribute("tcpState"), Always),
    (Attribute("flowType"), Always),
    (Attribute("egressName"), Names),
    (Attribute("egressUUID"), Uids),
    (Attribute("egressIP"), Always),
    (Attribute("egressNodeName"), Names),
    (Attribute("egressNodeUUID"), Uids),
    (Attribute("proxySnatPort"), Always),
    (Attribute("proxySnatIP"), Always),
    (Attribute("destinationClusterIP"), Always),
    (Attribute("destinationServiceIP"), Always),
    (Attribute("octetDeltaCountFromSourceNode"), Aggregate),
    (Attribute("octetDeltaCountFromDestinationNode"), Aggregate),
    (Attribute("octetTotalCountFromSourceNode"), Aggregate),
    (Attribute("octetTotalCountFromDestinationNode"), Aggregate),
    (Attribute("packetDeltaCountFromSourceNode"), Aggregate),
    (Attribute("packetDeltaCountFromDestinationNode"), Aggregate),
    (Attribute("packetTotalCountFromSourceNode"), Aggregate),
    (Attribute("packetTotalCountFromDestinationNode"), Aggregate),
    (Attribute("reverseOctetDeltaCountFromSourceNode"), Aggregate),
    (Attribute("reverseOctetDeltaCountFromDestinationNode"), Aggregate),
    (Attribute("reverseOctetTotalCountFromSourceNode"), Aggregate),
    (Attribute("reverseOctetTotalCountFromDestinationNode"), Aggregate),
    (Attribute("reversePacketDeltaCountFromSourceNode"), Aggregate),
    (Attribute("reversePacketDeltaCountFromDestinationNode"), Aggregate),
    (Attribute("reversePacketTotalCountFromSourceNode"), Aggregate),
    (Attribute("reversePacketTotalCountFromDestinationNode"), Aggregate),
    (Attribute("flowEndSecondsFromSourceNode"), Aggregate),
    (Attribute("flowEndSecondsFromDestinationNode"), Aggregate),
    (Attribute("throughput"), Aggregate),
    (Attribute("throughputFromSourceNode"), Aggregate),
    (Attribute("throughputFromDestinationNode"), Aggregate),
    (Attribute("reverseThroughput"), Aggregate),
    (Attribute("reverseThroughputFromSourceNode"), Aggregate),
    (Attribute("reverseThroughputFromDestinationNode"), Aggregate),
    (Attribute("sourcePodLabels"), Always),
    (Attribute("destinationPodLabels"), Always),
    (ClusterId, Always),
    (Attribute("originalObservationDomainId"), Proxy),
    (V4("originalExporterIP"), Proxy),
    (V6("originalExporterIP"), Proxy),
    (Attribute("flowDirection"), Proxy),
];

/// What others than Antrea's collectors find useful behind IANA's elements among these.
pub(crate) static FINER: [&str; 3] =
    ["flowStartMilliseconds", "flowEndMilliseconds", "icmpTypeCode"];

/// Elements that collectors of others are spared: one that is there under a newer name too, and
/// two of which one is always empty.
pub(crate) static SPARED: [&str; 2] = ["destinationClusterIP", "originalExporterIP"];

/// Whether an element tells of what came back.
pub(crate) fn is_reverse(name: &str) -> bool {
    name.starts_with("reverse")
}
