CREATE DATABASE IF NOT EXISTS `default`;

CREATE TABLE IF NOT EXISTS `default`.`flows`
(
    `timeInserted` DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1)),
    `flowStartSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromSourceNode` DateTime CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` DateTime CODEC(Delta(4), ZSTD(1)),
    `flowEndReason` UInt8 CODEC(ZSTD(1)),
    `sourceIP` String CODEC(ZSTD(1)),
    `destinationIP` String CODEC(ZSTD(1)),
    `sourceTransportPort` UInt16 CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `packetTotalCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetTotalCount` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketTotalCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetTotalCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `sourcePodName` LowCardinality(String),
    `sourcePodNamespace` LowCardinality(String),
    `sourceNodeName` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `destinationClusterIP` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `tcpState` LowCardinality(String),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `sourcePodLabels` LowCardinality(String),
    `destinationPodLabels` LowCardinality(String),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `trusted` UInt8 DEFAULT 0 CODEC(ZSTD(1)),
    `egressName` LowCardinality(String),
    `egressIP` LowCardinality(String),
    `egressNodeName` LowCardinality(String),
    `appProtocolName` LowCardinality(String),
    `httpVals` LowCardinality(String),
    `proxySnatPort` UInt16 CODEC(ZSTD(1)),
    `proxySnatIP` LowCardinality(String),
    `destinationServiceIP` LowCardinality(String),
    `flowStartMilliseconds` DateTime64(3) DEFAULT toDateTime64(flowStartSeconds, 3) CODEC(Delta(8), ZSTD(1)),
    `flowEndMilliseconds` DateTime64(3) DEFAULT toDateTime64(flowEndSeconds, 3) CODEC(Delta(8), ZSTD(1)),
    `flowId` UInt64 CODEC(ZSTD(1)),
    `icmpTypeCode` UInt16 CODEC(ZSTD(1)),
    `flowCorrelation` UInt8 CODEC(ZSTD(1)),
    `flowIdFromSourceNode` UInt64 CODEC(ZSTD(1)),
    `observationDomainIdFromSourceNode` UInt64 CODEC(ZSTD(1)),
    `flowStartMillisecondsFromSourceNode` DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    `flowEndMillisecondsFromSourceNode` DateTime64(3) DEFAULT toDateTime64(flowEndSecondsFromSourceNode, 3) CODEC(Delta(8), ZSTD(1)),
    `packetTotalCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `octetTotalCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketTotalCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetTotalCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCountFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowIdFromDestinationNode` UInt64 CODEC(ZSTD(1)),
    `observationDomainIdFromDestinationNode` UInt64 CODEC(ZSTD(1)),
    `flowStartMillisecondsFromDestinationNode` DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    `flowEndMillisecondsFromDestinationNode` DateTime64(3) DEFAULT toDateTime64(flowEndSecondsFromDestinationNode, 3) CODEC(Delta(8), ZSTD(1)),
    `packetTotalCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `octetTotalCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketTotalCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetTotalCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCountFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `sourcePodUUID` LowCardinality(String),
    `destinationPodUUID` LowCardinality(String),
    `sourceNodeUUID` LowCardinality(String),
    `destinationNodeUUID` LowCardinality(String),
    `destinationServiceUUID` LowCardinality(String),
    `ingressNetworkPolicyUUID` LowCardinality(String),
    `egressNetworkPolicyUUID` LowCardinality(String),
    `egressUUID` LowCardinality(String),
    `egressNodeUUID` LowCardinality(String),
    `originalObservationDomainId` UInt32 CODEC(ZSTD(1)),
    `originalExporterIP` LowCardinality(String),
    `flowDirection` UInt8 DEFAULT 255 CODEC(ZSTD(1)),
    `sourceWorkload` LowCardinality(String),
    `destinationWorkload` LowCardinality(String),
    `sourceZone` LowCardinality(String),
    `destinationZone` LowCardinality(String),
    `observedBy` UInt8 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (toStartOfHour(flowEndSeconds, 'UTC'), sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName)
ORDER BY (toStartOfHour(flowEndSeconds, 'UTC'), sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, flowEndSeconds)
TTL timeInserted + toIntervalDay(30)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_pod_1m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(30)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_pod_5m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(90)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_pod_1h`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(400)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_node_1m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourceNodeName` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `sourcePodNamespace` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourceNodeName, destinationNodeName, sourcePodNamespace, destinationPodNamespace, clusterUUID)
TTL timeInserted + toIntervalDay(30)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_node_5m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourceNodeName` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `sourcePodNamespace` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourceNodeName, destinationNodeName, sourcePodNamespace, destinationPodNamespace, clusterUUID)
TTL timeInserted + toIntervalDay(90)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_node_1h`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourceNodeName` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `sourcePodNamespace` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourceNodeName, destinationNodeName, sourcePodNamespace, destinationPodNamespace, clusterUUID)
TTL timeInserted + toIntervalDay(400)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_policy_1m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, clusterUUID)
TTL timeInserted + toIntervalDay(30)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_policy_5m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, clusterUUID)
TTL timeInserted + toIntervalDay(90)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_policy_1h`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourcePodName` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationPodName` LowCardinality(String),
    `destinationIP` String CODEC(ZSTD(1)),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourcePodName, destinationPodNamespace, destinationPodName, destinationIP, destinationTransportPort, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, clusterUUID)
TTL timeInserted + toIntervalDay(400)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_workload_1m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourceWorkload` LowCardinality(String),
    `sourceNodeName` LowCardinality(String),
    `sourceZone` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationWorkload` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `destinationZone` LowCardinality(String),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressName` LowCardinality(String),
    `egressNodeName` LowCardinality(String),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourceWorkload, sourceNodeName, sourceZone, destinationPodNamespace, destinationWorkload, destinationNodeName, destinationZone, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, egressName, egressNodeName, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(30)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_workload_5m`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourceWorkload` LowCardinality(String),
    `sourceNodeName` LowCardinality(String),
    `sourceZone` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationWorkload` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `destinationZone` LowCardinality(String),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressName` LowCardinality(String),
    `egressNodeName` LowCardinality(String),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourceWorkload, sourceNodeName, sourceZone, destinationPodNamespace, destinationWorkload, destinationNodeName, destinationZone, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, egressName, egressNodeName, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(90)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE TABLE IF NOT EXISTS `default`.`flows_workload_1h`
(
    `flowEndSeconds` DateTime CODEC(Delta(4), ZSTD(1)),
    `timeInserted` DateTime CODEC(Delta(4), ZSTD(1)),
    `sourcePodNamespace` LowCardinality(String),
    `sourceWorkload` LowCardinality(String),
    `sourceNodeName` LowCardinality(String),
    `sourceZone` LowCardinality(String),
    `destinationPodNamespace` LowCardinality(String),
    `destinationWorkload` LowCardinality(String),
    `destinationNodeName` LowCardinality(String),
    `destinationZone` LowCardinality(String),
    `destinationTransportPort` UInt16 CODEC(ZSTD(1)),
    `protocolIdentifier` UInt8 CODEC(ZSTD(1)),
    `destinationServicePortName` LowCardinality(String),
    `destinationServicePort` UInt16 CODEC(ZSTD(1)),
    `ingressNetworkPolicyName` LowCardinality(String),
    `ingressNetworkPolicyNamespace` LowCardinality(String),
    `ingressNetworkPolicyRuleName` LowCardinality(String),
    `ingressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `ingressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyName` LowCardinality(String),
    `egressNetworkPolicyNamespace` LowCardinality(String),
    `egressNetworkPolicyRuleName` LowCardinality(String),
    `egressNetworkPolicyRuleAction` UInt8 CODEC(ZSTD(1)),
    `egressNetworkPolicyType` UInt8 CODEC(ZSTD(1)),
    `egressName` LowCardinality(String),
    `egressNodeName` LowCardinality(String),
    `flowType` UInt8 CODEC(ZSTD(1)),
    `clusterUUID` LowCardinality(String),
    `records` UInt64 CODEC(T64, ZSTD(1)),
    `packetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `octetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reversePacketDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `reverseOctetDeltaCount` UInt64 CODEC(T64, ZSTD(1)),
    `throughput` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughput` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `throughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromSourceNode` UInt64 CODEC(T64, ZSTD(1)),
    `reverseThroughputFromDestinationNode` UInt64 CODEC(T64, ZSTD(1)),
    `flowEndSecondsFromSourceNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    `flowEndSecondsFromDestinationNode` SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMMDD(timeInserted, 'UTC')
PRIMARY KEY (flowEndSeconds)
ORDER BY (flowEndSeconds, timeInserted, sourcePodNamespace, sourceWorkload, sourceNodeName, sourceZone, destinationPodNamespace, destinationWorkload, destinationNodeName, destinationZone, destinationTransportPort, protocolIdentifier, destinationServicePortName, destinationServicePort, ingressNetworkPolicyName, ingressNetworkPolicyNamespace, ingressNetworkPolicyRuleName, ingressNetworkPolicyRuleAction, ingressNetworkPolicyType, egressNetworkPolicyName, egressNetworkPolicyNamespace, egressNetworkPolicyRuleName, egressNetworkPolicyRuleAction, egressNetworkPolicyType, egressName, egressNodeName, flowType, clusterUUID)
TTL timeInserted + toIntervalDay(400)
SETTINGS merge_with_ttl_timeout = 14400, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, non_replicated_deduplication_window = 1000
COMMENT 'Fyke';

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_pod_1m_feed` TO `default`.`flows_pod_1m` AS
SELECT
    toStartOfMinute(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `flowType`,
    `clusterUUID`,
    count() AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `flowType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_pod_5m_feed` TO `default`.`flows_pod_5m` AS
SELECT
    toStartOfFiveMinutes(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `flowType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_pod_1m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `flowType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_pod_1h_feed` TO `default`.`flows_pod_1h` AS
SELECT
    toStartOfHour(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `flowType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_pod_5m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `flowType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_node_1m_feed` TO `default`.`flows_node_1m` AS
SELECT
    toStartOfMinute(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourceNodeName`,
    `destinationNodeName`,
    `sourcePodNamespace`,
    `destinationPodNamespace`,
    `clusterUUID`,
    count() AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows`
GROUP BY flowEndSeconds, timeInserted, `sourceNodeName`, `destinationNodeName`, `sourcePodNamespace`, `destinationPodNamespace`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_node_5m_feed` TO `default`.`flows_node_5m` AS
SELECT
    toStartOfFiveMinutes(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourceNodeName`,
    `destinationNodeName`,
    `sourcePodNamespace`,
    `destinationPodNamespace`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_node_1m`
GROUP BY flowEndSeconds, timeInserted, `sourceNodeName`, `destinationNodeName`, `sourcePodNamespace`, `destinationPodNamespace`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_node_1h_feed` TO `default`.`flows_node_1h` AS
SELECT
    toStartOfHour(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourceNodeName`,
    `destinationNodeName`,
    `sourcePodNamespace`,
    `destinationPodNamespace`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_node_5m`
GROUP BY flowEndSeconds, timeInserted, `sourceNodeName`, `destinationNodeName`, `sourcePodNamespace`, `destinationPodNamespace`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_policy_1m_feed` TO `default`.`flows_policy_1m` AS
SELECT
    toStartOfMinute(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `clusterUUID`,
    count() AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_policy_5m_feed` TO `default`.`flows_policy_5m` AS
SELECT
    toStartOfFiveMinutes(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_policy_1m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_policy_1h_feed` TO `default`.`flows_policy_1h` AS
SELECT
    toStartOfHour(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_policy_5m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourcePodName`, `destinationPodNamespace`, `destinationPodName`, `destinationIP`, `destinationTransportPort`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_workload_1m_feed` TO `default`.`flows_workload_1m` AS
SELECT
    toStartOfMinute(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourceWorkload`,
    `sourceNodeName`,
    `sourceZone`,
    `destinationPodNamespace`,
    `destinationWorkload`,
    `destinationNodeName`,
    `destinationZone`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `egressName`,
    `egressNodeName`,
    `flowType`,
    `clusterUUID`,
    count() AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourceWorkload`, `sourceNodeName`, `sourceZone`, `destinationPodNamespace`, `destinationWorkload`, `destinationNodeName`, `destinationZone`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `egressName`, `egressNodeName`, `flowType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_workload_5m_feed` TO `default`.`flows_workload_5m` AS
SELECT
    toStartOfFiveMinutes(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourceWorkload`,
    `sourceNodeName`,
    `sourceZone`,
    `destinationPodNamespace`,
    `destinationWorkload`,
    `destinationNodeName`,
    `destinationZone`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `egressName`,
    `egressNodeName`,
    `flowType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_workload_1m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourceWorkload`, `sourceNodeName`, `sourceZone`, `destinationPodNamespace`, `destinationWorkload`, `destinationNodeName`, `destinationZone`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `egressName`, `egressNodeName`, `flowType`, `clusterUUID`;

CREATE MATERIALIZED VIEW IF NOT EXISTS `default`.`flows_workload_1h_feed` TO `default`.`flows_workload_1h` AS
SELECT
    toStartOfHour(flowEndSeconds, 'UTC') AS flowEndSeconds,
    toStartOfHour(timeInserted, 'UTC') AS timeInserted,
    `sourcePodNamespace`,
    `sourceWorkload`,
    `sourceNodeName`,
    `sourceZone`,
    `destinationPodNamespace`,
    `destinationWorkload`,
    `destinationNodeName`,
    `destinationZone`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `egressName`,
    `egressNodeName`,
    `flowType`,
    `clusterUUID`,
    sum(records) AS records,
    sum(packetDeltaCount) AS packetDeltaCount,
    sum(octetDeltaCount) AS octetDeltaCount,
    sum(reversePacketDeltaCount) AS reversePacketDeltaCount,
    sum(reverseOctetDeltaCount) AS reverseOctetDeltaCount,
    sum(throughput) AS throughput,
    sum(reverseThroughput) AS reverseThroughput,
    sum(throughputFromSourceNode) AS throughputFromSourceNode,
    sum(throughputFromDestinationNode) AS throughputFromDestinationNode,
    sum(reverseThroughputFromSourceNode) AS reverseThroughputFromSourceNode,
    sum(reverseThroughputFromDestinationNode) AS reverseThroughputFromDestinationNode,
    max(flowEndSecondsFromSourceNode) AS flowEndSecondsFromSourceNode,
    max(flowEndSecondsFromDestinationNode) AS flowEndSecondsFromDestinationNode
FROM `default`.`flows_workload_5m`
GROUP BY flowEndSeconds, timeInserted, `sourcePodNamespace`, `sourceWorkload`, `sourceNodeName`, `sourceZone`, `destinationPodNamespace`, `destinationWorkload`, `destinationNodeName`, `destinationZone`, `destinationTransportPort`, `protocolIdentifier`, `destinationServicePortName`, `destinationServicePort`, `ingressNetworkPolicyName`, `ingressNetworkPolicyNamespace`, `ingressNetworkPolicyRuleName`, `ingressNetworkPolicyRuleAction`, `ingressNetworkPolicyType`, `egressNetworkPolicyName`, `egressNetworkPolicyNamespace`, `egressNetworkPolicyRuleName`, `egressNetworkPolicyRuleAction`, `egressNetworkPolicyType`, `egressName`, `egressNodeName`, `flowType`, `clusterUUID`;

CREATE OR REPLACE VIEW `default`.`flows_pod_view` AS
SELECT
    `flowEndSeconds`,
    `timeInserted`,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `protocolIdentifier`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `flowType`,
    `clusterUUID`,
    `records`,
    `packetDeltaCount`,
    `octetDeltaCount`,
    `reversePacketDeltaCount`,
    `reverseOctetDeltaCount`,
    intDiv(throughput, records) AS throughput,
    intDiv(reverseThroughput, records) AS reverseThroughput,
    intDiv(throughputFromSourceNode, records) AS throughputFromSourceNode,
    intDiv(throughputFromDestinationNode, records) AS throughputFromDestinationNode,
    intDiv(reverseThroughputFromSourceNode, records) AS reverseThroughputFromSourceNode,
    intDiv(reverseThroughputFromDestinationNode, records) AS reverseThroughputFromDestinationNode,
    `flowEndSecondsFromSourceNode`,
    `flowEndSecondsFromDestinationNode`,
    toUInt16(0) AS sourceTransportPort
FROM `default`.`flows_pod_1m`;

CREATE OR REPLACE VIEW `default`.`flows_node_view` AS
SELECT
    `flowEndSeconds`,
    `timeInserted`,
    `sourceNodeName`,
    `destinationNodeName`,
    `sourcePodNamespace`,
    `destinationPodNamespace`,
    `clusterUUID`,
    `records`,
    `packetDeltaCount`,
    `octetDeltaCount`,
    `reversePacketDeltaCount`,
    `reverseOctetDeltaCount`,
    intDiv(throughput, records) AS throughput,
    intDiv(reverseThroughput, records) AS reverseThroughput,
    intDiv(throughputFromSourceNode, records) AS throughputFromSourceNode,
    intDiv(throughputFromDestinationNode, records) AS throughputFromDestinationNode,
    intDiv(reverseThroughputFromSourceNode, records) AS reverseThroughputFromSourceNode,
    intDiv(reverseThroughputFromDestinationNode, records) AS reverseThroughputFromDestinationNode,
    `flowEndSecondsFromSourceNode`,
    `flowEndSecondsFromDestinationNode`
FROM `default`.`flows_node_1m`;

CREATE OR REPLACE VIEW `default`.`flows_policy_view` AS
SELECT
    `flowEndSeconds`,
    `timeInserted`,
    `sourcePodNamespace`,
    `sourcePodName`,
    `destinationPodNamespace`,
    `destinationPodName`,
    `destinationIP`,
    `destinationTransportPort`,
    `destinationServicePortName`,
    `destinationServicePort`,
    `ingressNetworkPolicyName`,
    `ingressNetworkPolicyNamespace`,
    `ingressNetworkPolicyRuleName`,
    `ingressNetworkPolicyRuleAction`,
    `ingressNetworkPolicyType`,
    `egressNetworkPolicyName`,
    `egressNetworkPolicyNamespace`,
    `egressNetworkPolicyRuleName`,
    `egressNetworkPolicyRuleAction`,
    `egressNetworkPolicyType`,
    `clusterUUID`,
    `records`,
    `packetDeltaCount`,
    `octetDeltaCount`,
    `reversePacketDeltaCount`,
    `reverseOctetDeltaCount`,
    intDiv(throughput, records) AS throughput,
    intDiv(reverseThroughput, records) AS reverseThroughput,
    intDiv(throughputFromSourceNode, records) AS throughputFromSourceNode,
    intDiv(throughputFromDestinationNode, records) AS throughputFromDestinationNode,
    intDiv(reverseThroughputFromSourceNode, records) AS reverseThroughputFromSourceNode,
    intDiv(reverseThroughputFromDestinationNode, records) AS reverseThroughputFromDestinationNode,
    `flowEndSecondsFromSourceNode`,
    `flowEndSecondsFromDestinationNode`,
    toUInt16(0) AS sourceTransportPort
FROM `default`.`flows_policy_1m`;
