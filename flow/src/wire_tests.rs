use ipfix::decode::{Limits, Session};
use ipfix::encode::{Encoder, Packing};
use ipfix::registry::iana;
use ipfix::template::{FieldSpecifier, VARIABLE};
use proptest::prelude::*;

use super::*;
use crate::{FlowEndReason, FlowKey, FlowType, Name};

/// Encodes `record`, decodes it again.
fn round_trip(record: &FlowRecord, profile: Profile) -> FlowRecord {
    let family = Family::of(record);
    let id = TemplateId::new(256).unwrap();
    let mut encoder = Encoder::new(7, u16::MAX, Packing::OneRecord);
    let mut messages = Vec::new();
    encoder.template(0, &template(id, profile, family), &mut messages).unwrap();
    encoder.record(0, id, &mut messages, |writer| encode(record, profile, family, writer)).unwrap();
    encoder.finish(&mut messages);

    let mut decoded = decode(&messages);
    assert_eq!(decoded.len(), 1);
    decoded.remove(0)
}

fn decode(messages: &[u8]) -> Vec<FlowRecord> {
    let mut session = Session::new(Limits::default());
    let mut names = Interner::new(100);
    let mut decoded = Vec::new();
    let mut file = ipfix::file::Messages::new(messages);
    while let Some(message) = file.next_message().unwrap() {
        session
            .decode(message, Plan::compile, |plan, _, data| {
                decoded.push(plan.decode(&data, &mut names));
            })
            .unwrap();
    }
    decoded
}

/// Also those that are not on the wire.
#[test]
fn many_records_are_read_as_each_of_them() {
    let mut told = FlowRecord::default();
    for (number, field) in (100_u8..).zip(Field::all()) {
        match field.access {
            Access::U8 { set, .. } => set(&mut told, number % 3),
            Access::U16 { set, .. } => set(&mut told, u16::from(number) * 200),
            Access::U32 { set, .. } | Access::Seconds { set, .. } => set(&mut told, number.into()),
            Access::U64 { set, .. } | Access::Milliseconds { set, .. } => {
                set(&mut told, u64::from(number) << 20);
            }
            _ => {}
        }
    }
    let records = [FlowRecord::default(), told];
    for field in Field::all() {
        let get = |record| match field.access {
            Access::U8 { get, .. } => get(record).into(),
            Access::U16 { get, .. } => get(record).into(),
            Access::U32 { get, .. } | Access::Seconds { get, .. } => get(record).into(),
            Access::U64 { get, .. } | Access::Milliseconds { get, .. } => get(record),
            _ => 7,
        };
        let mut numbers = [7; 3];
        (field.numbers)(&records, &mut numbers);
        assert_eq!(numbers, [get(&records[0]), get(&records[1]), 7], "{}", field.name);
    }
}

fn counters() -> impl Strategy<Value = crate::Counters> {
    any::<[u64; 4]>().prop_map(|[a, b, c, d]| crate::Counters {
        packets_total: a,
        octets_total: b,
        packets_delta: c,
        octets_delta: d,
    })
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9/:-]{0,300}".prop_map(|text| Name::from(text.as_str()))
}

prop_compose! {
    fn records()(
        v6 in any::<bool>(),
        addresses in any::<[u128; 2]>(),
        ports in any::<[u16; 3]>(),
        protocol in any::<u8>(),
        times in any::<[u32; 2]>(),
        counters in [counters(), counters()],
        names in prop::collection::vec(name(), 4),
        id in any::<u64>(),
    ) -> FlowRecord {
        let address = |bits: u128| if v6 {
            IpAddr::V6(Ipv6Addr::from_bits(bits | 1))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32 | 1))
        };
        FlowRecord {
            flow_id: id,
            key: FlowKey {
                source: address(addresses[0]),
                destination: address(addresses[1]),
                source_port: ports[0],
                destination_port: ports[1],
                protocol,
                icmp_type_code: ports[2],
            },
            start_ms: u64::from(times[0]) * 1000 + 123,
            end_ms: u64::from(times[1]) * 1000 + 456,
            end_reason: FlowEndReason::ActiveTimeout,
            forward: counters[0],
            reverse: counters[1],
            source: crate::Endpoint { pod: names[0].clone(), namespace: names[1].clone(), ..Default::default() }.into(),
            service: crate::Service { ip: Some(address(addresses[1])), port: ports[0], name: names[2].clone() },
            tcp_state: names[3].clone(),
            flow_type: FlowType::InterNode,
            proxy_snat_ip: Some(address(addresses[0])),
            proxy_snat_port: ports[2],
            ..FlowRecord::default()
        }
    }
}

#[test]
fn only_templates_with_both_addresses_are_of_flows() {
    let id = TemplateId::new(256).unwrap();
    for (profile, family) in [(Profile::Antrea, Family::V4), (Profile::Fyke, Family::V6)] {
        let whole = template(id, profile, family);
        assert!(Plan::compile(&whole).is_flow());
        let ends: Vec<_> = whole.fields.iter().filter(|f| has_end(f.pen, f.id)).copied().collect();
        assert_eq!(ends.len(), 2);
        let mut fields = ends.clone();
        let is_flow = |fields: &[_]| {
            Plan::compile(&Template { fields: fields.to_vec(), ..whole.clone() }).is_flow()
        };
        assert!(is_flow(&fields));
        assert!(!is_flow(&fields[..1]) && !is_flow(&fields[1..]), "one address");
        // Values of another length are no addresses, and would make records of no bytes to speak of.
        fields[1].length = 1;
        assert!(!is_flow(&fields));
        fields[1].length = u16::MAX;
        assert!(!is_flow(&fields));
    }
}

/// Whether an element carries the source or the destination address.
fn has_end(pen: u32, id: u16) -> bool {
    let mut record = FlowRecord::default();
    if let Some(Access::Ip { set, .. }) = row(pen, id).map(|row| row.access) {
        set(&mut record, Some(Ipv4Addr::LOCALHOST.into()));
    }
    record.key != FlowKey::default()
}

/// What the octets of one field say, without looking at the type of its element: numbers in as many
/// bytes as there are, addresses by their length.
fn by_octets(record: &mut FlowRecord, access: Access, octets: &[u8], names: &mut Interner) {
    let number = match octets.len() {
        1..=8 => Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))),
        _ => None,
    };
    match access {
        Access::U8 { set, .. } => fitting(number).map(|number| set(record, number)),
        Access::U16 { set, .. } => fitting(number).map(|number| set(record, number)),
        Access::U32 { set, .. } | Access::Seconds { set, .. } => {
            fitting(number).map(|number| set(record, number))
        }
        Access::U64 { set, .. } | Access::Milliseconds { set, .. } => {
            number.map(|number| set(record, number))
        }
        Access::Ip { set, .. } => {
            let address = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
                (Ok(octets), _) => Some(IpAddr::from(octets)),
                (_, Ok(octets)) => Some(IpAddr::from(octets)),
                _ => None,
            };
            set(record, address.filter(|address| !address.is_unspecified()));
            None
        }
        Access::Labels { set, .. } => {
            std::str::from_utf8(octets).ok().map(|text| set(record, Name::from(text)))
        }
        Access::Uuid { set, .. } => {
            if octets.len() == 16 {
                let told = octets.iter().any(|octet| *octet != 0);
                let octets = octets.try_into().unwrap();
                set(record, told.then_some(Uid(octets)));
            }
            None
        }
        Access::Name { set, .. } => {
            let text = std::str::from_utf8(octets).ok();
            text.map(|text| set(record, names.intern(text)))
        }
    };
}

fn fitting<T: TryFrom<u64>>(number: Option<u64>) -> Option<T> {
    T::try_from(number?).ok()
}

/// An element of the table or one it does not know, a length it may have in a template, and octets
/// of that length: often of the element's own, so that values make sense.
fn fields() -> impl Strategy<Value = (FieldSpecifier, Vec<u8>)> {
    let table = |family: Family| Field::all().filter_map(move |field| element(field, family));
    let known: Vec<_> = table(Family::V4).chain(table(Family::V6)).collect();
    let element = prop_oneof![9 => prop::sample::select(known), 1 => Just(iana::EGRESS_INTERFACE)];
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "[a-z]{0,300}".prop_map(String::into_bytes),
        prop::collection::vec(Just(0), 0..17),
    ];
    (element, content, 0..3_u8).prop_map(|(element, mut content, length)| {
        let natural = element.data_type.natural_length();
        let length = match length {
            0 => VARIABLE,
            1 if natural != VARIABLE => natural,
            _ => u16::try_from(content.len()).unwrap(),
        };
        if length != VARIABLE {
            content.resize(usize::from(length), 7);
        }
        (FieldSpecifier { pen: element.pen, id: element.id, length }, content)
    })
}

/// The elements of a profile in its order, as other exporters may have them: of any length. And
/// sometimes one less, or more.
fn fields_of_a_profile() -> impl Strategy<Value = Vec<(FieldSpecifier, Vec<u8>)>> {
    let profiles = [Profile::Antrea, Profile::Fyke].map(|profile| {
        let elements = profile.fields().filter_map(|field| element(field, Family::V4));
        elements.map(|element| (element.pen, element.id)).collect::<Vec<_>>()
    });
    let length = prop_oneof![Just(None), any::<prop::sample::Index>().prop_map(Some)];
    let fields = prop::collection::vec(fields(), 60);
    (prop::sample::select(profiles.to_vec()), fields, length).prop_map(
        |(elements, fields, length)| {
            let count = length.map_or(elements.len(), |it| 1 + it.index(fields.len()));
            let mut fields: Vec<_> = fields.into_iter().take(count).collect();
            for ((field, _), (pen, id)) in fields.iter_mut().zip(elements) {
                (field.pen, field.id) = (pen, id);
            }
            fields
        },
    )
}

proptest! {
    /// Also one that comes after others of its session.
    #[test]
    fn a_record_of_any_template_is_what_its_octets_say(
        fields in prop_oneof![prop::collection::vec(fields(), 1..60), fields_of_a_profile()],
        changed in any::<prop::sample::Index>(),
    ) {
        let id = TemplateId::new(256).unwrap();
        let (specifiers, contents): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let template = Template { fields: specifiers, ..template(id, Profile::Antrea, Family::V4) };
        prop_assume!(template.minimum_record_length() > 0);
        let mut encoder = Encoder::new(7, u16::MAX, Packing::OneRecord);
        let mut messages = Vec::new();
        encoder.template(0, &template, &mut messages).unwrap();
        let mut other = contents.clone();
        let content = &mut other[changed.index(contents.len())];
        content.fill(b'z');
        if template.fields[changed.index(contents.len())].length == VARIABLE {
            content.push(b'z');
        }
        let mut expected = Vec::new();
        let mut names = Interner::new(100);
        for contents in [&contents, &other, &contents, &other] {
            let write = |writer: &mut RecordWriter<'_>| {
                for (field, content) in template.fields.iter().zip(contents) {
                    if field.length == VARIABLE {
                        writer.variable(content);
                    } else {
                        writer.bytes(content);
                    }
                }
            };
            encoder.record(0, id, &mut messages, write).unwrap();
            let mut record = FlowRecord::default();
            for (field, content) in template.fields.iter().zip(contents) {
                if let Some(access) = row(field.pen, field.id).map(|row| row.access) {
                    by_octets(&mut record, access, content, &mut names);
                }
            }
            expected.push(record);
        }
        prop_assert_eq!(decode(&messages), expected);
    }

    #[test]
    fn the_fyke_profile_loses_nothing(record in records()) {
        prop_assert_eq!(round_trip(&record, Profile::Fyke), record);
    }

    #[test]
    fn antreas_profile_loses_only_what_it_has_no_element_for(record in records()) {
        let mut expected = record.clone();
        expected.flow_id = 0;
        expected.key.icmp_type_code = 0;
        expected.start_ms -= expected.start_ms % 1000;
        expected.end_ms -= expected.end_ms % 1000;
        prop_assert_eq!(round_trip(&record, Profile::Antrea), expected);
    }
}
