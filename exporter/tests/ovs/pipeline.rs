//! Flows shaped like those of Antrea's Agent, with two of its tricks: denies go to the table that
//! outputs, which tells the controller; and load balancing leaves the endpoint in register 3.

use crate::lab::{SERVER4, SERVICE4};

/// The controller that flows name, as the Agent draws one.
pub(crate) const CONTROLLER: u16 = 15_768;

/// Tables under other numbers than any version of Antrea has them, by the Agent's names.
pub(crate) const TABLES: [(&str, u8); 9] = [
    ("Classifier", 40),
    ("EndpointDNAT", 41),
    ("AntreaPolicyEgressRule", 42),
    ("EgressRule", 43),
    ("EgressDefaultRule", 44),
    ("AntreaPolicyIngressRule", 45),
    ("IngressRule", 46),
    ("IngressDefaultRule", 47),
    ("Output", 48),
];

/// The rule that allows egress of what is denied at ingress, and the other way round.
pub(crate) const ALLOWING_EGRESS: u32 = 77;

pub(crate) fn number(name: &str) -> u8 {
    TABLES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// What is denied: to which port, or for ICMP with which code, by whom.
pub(crate) struct Deny {
    pub(crate) port: u16,
    pub(crate) table: &'static str,
    /// 0 for isolation.
    pub(crate) rule: u32,
    /// As in register 0: 1 dropped, 2 rejected.
    pub(crate) disposition: u8,
}

const fn deny(port: u16, table: &'static str, rule: u32, disposition: u8) -> Deny {
    Deny { port, table, rule, disposition }
}

pub(crate) const DENIES: [Deny; 8] = [
    deny(9001, "AntreaPolicyEgressRule", 11, 1),
    deny(9002, "AntreaPolicyEgressRule", 12, 2),
    deny(9003, "EgressDefaultRule", 0, 1),
    deny(9004, "AntreaPolicyIngressRule", 13, 1),
    deny(9005, "AntreaPolicyIngressRule", 14, 2),
    deny(9006, "IngressDefaultRule", 0, 1),
    // Rules of the baseline tier share a table with isolation.
    deny(9007, "IngressDefaultRule", 15, 1),
    deny(9008, "EgressDefaultRule", 16, 2),
];

/// The flow that denies, recognised by its cookie.
pub(crate) fn cookie(deny: &Deny, protocol: &str) -> u64 {
    let nth = PROTOCOLS.iter().position(|it| it.0 == protocol).unwrap();
    u64::from(deny.port) << 8 | u64::try_from(nth).unwrap()
}

/// Words of `ovs-ofctl`, and the field that tells denies apart.
pub(crate) const PROTOCOLS: [(&str, &str); 6] = [
    ("tcp", "tp_dst"),
    ("udp", "tp_dst"),
    ("icmp", "nw_tos"),
    ("tcp6", "tp_dst"),
    ("udp6", "tp_dst"),
    ("icmp6", "nw_tos"),
];

/// Pings have no port: a type of service that follows from the port of the others.
pub(crate) fn type_of_service(port: u16) -> u16 {
    (port - 9000) * 4
}

pub(crate) fn flows() -> String {
    let [
        _,
        dnat,
        egress,
        egress_rule,
        egress_default,
        ingress,
        ingress_rule,
        ingress_default,
        output,
    ] = TABLES.map(|(_, number)| number);
    let classifier = number("Classifier");
    let mut flows = format!(
        "table=0,actions=goto_table:{classifier}
table={classifier},priority=200,arp,actions=NORMAL
table={classifier},priority=200,icmp6,icmp_type=135,actions=NORMAL
table={classifier},priority=200,icmp6,icmp_type=136,actions=NORMAL
table={classifier},priority=190,ip,actions=ct(table={dnat},zone=65520,nat)
table={classifier},priority=190,ipv6,actions=ct(table={dnat},zone=65510,nat)
table={dnat},priority=200,ct_state=+new+trk,tcp,nw_dst={SERVICE4},tp_dst=80,actions={}
table={dnat},priority=200,ct_state=+new+trk,tcp,nw_dst={SERVICE4},tp_dst=81,actions={}
table={dnat},priority=0,actions=goto_table:{egress}
table={egress},priority=0,actions=goto_table:{egress_rule}
table={egress_rule},priority=10,ct_state=+new+trk,ip,actions={allow4}
table={egress_rule},priority=10,ct_state=+new+trk,ipv6,actions={allow6}
table={egress_rule},priority=0,actions=goto_table:{egress_default}
table={egress_default},priority=0,actions=goto_table:{ingress}
table={ingress},priority=0,actions=goto_table:{ingress_rule}
table={ingress_rule},priority=0,actions=goto_table:{ingress_default}
table={ingress_default},priority=0,actions=goto_table:{output}
table={output},priority=0,actions=NORMAL
",
        translate(9006, egress),
        translate(9004, egress),
        allow4 = allow(65520, egress_default),
        allow6 = allow(65510, egress_default),
    );
    // Register 2, bits 8-11 as the Agent uses them: the operations; bit 12: to a controller.
    flows.extend([4, 5, 6, 7].map(|operations| {
        format!(
            "table={output},priority=200,reg2=0x{:x}/0x1f00,actions=controller(reason=no_match,\
             id={CONTROLLER},userdata=01.{operations:02x},max_len=65535,meter_id=256)\n",
            0x1000 | operations << 8
        )
    }));
    for deny in &DENIES {
        flows.extend(PROTOCOLS.map(|(protocol, field)| {
            let value = if field == "tp_dst" { deny.port } else { type_of_service(deny.port) };
            format!(
                "cookie=0x{:x},table={},priority=100,ct_state=+new+trk,{protocol},{field}={value},\
                 actions={}\n",
                cookie(deny, protocol),
                number(deny.table),
                deny_actions(deny, output),
            )
        }));
    }
    flows
}

/// Chooses the only endpoint, as load balancing does.
fn translate(port: u16, next: u8) -> String {
    let endpoint: std::net::Ipv4Addr = SERVER4.parse().unwrap();
    format!(
        "set_field:0x{:x}->reg3,ct(commit,table={next},zone=65520,nat(dst={SERVER4}:{port}),\
         exec(set_field:0x13/0x1f->ct_mark))",
        u32::from(endpoint)
    )
}

fn allow(zone: u16, next: u8) -> String {
    format!(
        "ct(commit,table={next},zone={zone},exec(set_field:0x{:x}/0xffffffff00000000->ct_label))",
        u64::from(ALLOWING_EGRESS) << 32
    )
}

fn deny_actions(deny: &Deny, output: u8) -> String {
    let Deny { table, rule, disposition, .. } = *deny;
    // Remember it; reject it too if it is rejected.
    let operations: u32 = if disposition == 2 { 6 } else { 4 };
    let to_controller = 0x1000 | operations << 8 | u32::from(number(table));
    let of_rule = if rule == 0 {
        String::new()
    } else {
        format!("set_field:0x400/0x400->reg0,set_field:{rule}->reg3,")
    };
    format!(
        "{of_rule}set_field:0x{:x}/0x1800->reg0,set_field:0x{to_controller:x}/0x1fff->reg2,goto_table:{output}",
        u32::from(disposition) << 11
    )
}
