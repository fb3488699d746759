//! What the `fyke` profile sends behind Antrea's elements: enough to tell two connections with
//! the same 5-tuple apart, and times finer than a second.

use ipfix::registry::iana;

use super::{Access, Field, member, one, per_family, table};

table! {
pub(super) static ROWS: [Field; 4] = [
    one("flowStartMilliseconds", iana::FLOW_START_MILLISECONDS, member!(Milliseconds, start_ms)).at(&[3]),
    one("flowEndMilliseconds", iana::FLOW_END_MILLISECONDS, member!(Milliseconds, end_ms)).at(&[4]),
    one("flowId", iana::FLOW_ID, member!(U64, flow_id)).at(&[1]),
    per_family("icmpTypeCode", iana::ICMP_TYPE_CODE_IPV4, iana::ICMP_TYPE_CODE_IPV6, member!(U16, key.icmp_type_code)),
];
}
