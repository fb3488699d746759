use super::*;
use crate::{
    decode::{Limits, Session},
    encode::{Encoder, MultiListWriter, Packing, RecordWriter},
    registry::iana,
    template::VARIABLE,
};

const OUTER: u16 = 256;
const INNER: u16 = 257;
const UNKNOWN: u16 = 300;

fn id(id: u16) -> TemplateId {
    TemplateId::new(id).unwrap()
}

/// Encodes a list, and hands it to `look` as a record of a session that knows template 257, a port
/// and a name.
fn with_list(
    list: crate::registry::InformationElement,
    depth: u8,
    write: impl FnOnce(&mut RecordWriter<'_>),
    mut look: impl FnMut(Lists<'_>, &[u8]),
) {
    let mut encoder = Encoder::new(7, u16::MAX, Packing::OneRecord);
    let mut session = Session::new(Limits::default());
    let inner = Template::new(id(INNER), [iana::SOURCE_TRANSPORT_PORT, iana::INTERFACE_NAME]);
    for template in [Template::new(id(OUTER), [list]), inner] {
        let mut out = Vec::new();
        encoder.template(0, &template, &mut out).unwrap();
        session.decode(&out, |_| (), |(), _, _| ()).unwrap();
    }
    let mut out = Vec::new();
    encoder.record(0, id(OUTER), &mut out, write).unwrap();
    let mut seen = 0;
    let visit = |(): &(), _: &Template, record: crate::decode::DataRecord<'_>| {
        look(record.lists(depth), record.value(0).unwrap());
        seen += 1;
    };
    session.decode(&out, |_| (), visit).unwrap();
    assert_eq!(seen, 1);
}

fn flow(records: &mut RecordWriter<'_>, port: u16, name: &str) {
    records.u16(port);
    records.string(name);
}

#[test]
fn a_basic_list_is_its_values() {
    let write = |record: &mut RecordWriter<'_>| {
        let field = iana::SOURCE_TRANSPORT_PORT.into();
        record.basic_list(ListSemantic::AllOf, field, |list| {
            list.u16(80);
            list.u16(443);
        });
    };
    with_list(iana::BASIC_LIST, 1, write, |lists, value| {
        assert_eq!(value, [3, 0, 7, 0, 2, 0, 80, 1, 187]);
        let list = lists.basic(value).unwrap();
        assert_eq!((list.semantic, list.field.id), (ListSemantic::AllOf, 7));
        assert_eq!(list.values().collect::<Vec<_>>(), [[0, 80], [1, 187]]);
    });
}

#[test]
fn a_basic_list_may_be_of_variable_length_and_of_an_enterprise() {
    let write = |record: &mut RecordWriter<'_>| {
        let field = FieldSpecifier { pen: 4242, id: 1, length: VARIABLE };
        record.basic_list(ListSemantic::Ordered, field, |list| {
            list.string("");
            list.string("web-0");
        });
    };
    with_list(iana::BASIC_LIST, 1, write, |lists, value| {
        let list = lists.basic(value).unwrap();
        assert_eq!((list.field.pen, list.field.id), (4242, 1));
        assert_eq!(list.values().collect::<Vec<_>>(), [&b""[..], b"web-0"]);
    });
}

#[test]
fn a_list_of_one_template_is_its_records() {
    let write = |record: &mut RecordWriter<'_>| {
        record.sub_template_list(ListSemantic::Undefined, id(INNER), |list| {
            flow(list, 80, "eth0");
            flow(list, 81, "");
        });
    };
    with_list(iana::SUB_TEMPLATE_LIST, 1, write, |lists, value| {
        let list = lists.sub_template(value).unwrap();
        assert_eq!((list.template.id, list.semantic), (id(INNER), ListSemantic::Undefined));
        let records: Vec<Vec<_>> = list.records().map(|record| record.fields().collect()).collect();
        let [port, name] = list.template.fields.as_slice() else { panic!() };
        assert_eq!(records[0], [(port, &[0, 80][..]), (name, b"eth0")]);
        assert_eq!(records[1], [(port, &[0, 81][..]), (name, b"")]);
        assert_eq!(records.len(), 2);
    });
}

#[test]
fn a_part_that_cannot_be_read_does_not_hide_the_others() {
    let write = |record: &mut RecordWriter<'_>| {
        let parts = |parts: &mut MultiListWriter<'_, '_>| {
            parts.records(id(UNKNOWN), |list| list.u32(0));
            parts.records(id(INNER), |list| flow(list, 80, "eth0"));
            parts.records(id(INNER), |list| list.u8(0));
            parts.records(id(INNER), |_| ());
        };
        record.sub_template_multi_list(ListSemantic::NoneOf, parts);
    };
    with_list(iana::SUB_TEMPLATE_MULTI_LIST, 1, write, |lists, value| {
        let list = lists.sub_template_multi(value).unwrap();
        let parts: Vec<_> =
            list.parts().map(|part| part.map(|part| part.records().count())).collect();
        let [Err(ListError::UnknownTemplate(UNKNOWN)), Ok(1), Err(ListError::Truncated(_)), Ok(0)] =
            parts[..]
        else {
            panic!("{parts:?}");
        };
        let walked = lists.walk(DataType::SubTemplateMultiList, value, |_, _| ());
        let expected =
            Walked { lists: 1, values: 2, without_template: 1, malformed: 1, too_deep: 0 };
        assert_eq!(walked, expected);
    });
}

#[test]
fn every_shorter_list_is_refused_or_has_fewer_elements() {
    let write = |record: &mut RecordWriter<'_>| {
        record.sub_template_multi_list(ListSemantic::AllOf, |parts| {
            parts.records(id(INNER), |list| flow(list, 80, "eth0"));
            parts.records(id(INNER), |list| flow(list, 81, "eth1"));
        });
    };
    with_list(iana::SUB_TEMPLATE_MULTI_LIST, 1, write, |lists, value| {
        for length in 0..value.len() {
            let whole = lists.sub_template_multi(&value[..length]).map(|list| list.parts().count());
            assert_eq!(
                whole.ok(),
                [(1, 0), (12, 1)].iter().find(|(end, _)| *end == length).map(|(_, parts)| *parts)
            );
        }
    });
}

/// Writes a list in a list in a list.
fn nest(record: &mut RecordWriter<'_>, levels: usize) {
    let field = if levels == 1 { iana::SOURCE_TRANSPORT_PORT } else { iana::BASIC_LIST };
    record.basic_list(ListSemantic::AllOf, field.into(), |list| {
        if levels == 1 { list.u16(80) } else { nest(list, levels - 1) }
    });
}

#[test]
fn lists_are_read_as_deep_as_asked_for_and_no_deeper() {
    for (depth, values, too_deep) in [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 1, 0), (255, 1, 0)] {
        with_list(
            iana::BASIC_LIST,
            depth,
            |record| nest(record, 3),
            |lists, value| {
                let walked = lists.walk(DataType::BasicList, value, |field, value| {
                    assert_eq!((field.id, value), (7, &[0, 80][..]));
                });
                assert_eq!((walked.values, walked.too_deep), (values, too_deep), "depth {depth}");
                assert_eq!(walked.lists, u32::from(depth.min(3)));
            },
        );
    }
}

#[test]
fn a_message_of_nothing_but_nested_lists_is_no_stack_overflow() {
    let mut nested = vec![3, 0, 7, 0, 2];
    while nested.len() < 60_000 {
        let [high, low] = u16::try_from(nested.len()).unwrap().to_be_bytes();
        let header = [3, 1, 35, 0xff, 0xff, 255, high, low]; // of basicList (291)
        nested.splice(..0, header);
    }
    with_list(
        iana::BASIC_LIST,
        255,
        |record| record.variable(&nested),
        |lists, value| {
            let walked = lists.walk(DataType::BasicList, value, |_, _| ());
            assert_eq!((walked.lists, walked.values, walked.too_deep), (255, 0, 1));
        },
    );
}

#[test]
fn elements_of_no_bytes_are_no_endless_list() {
    with_list(
        iana::BASIC_LIST,
        1,
        |record| nest(record, 1),
        |lists, _| {
            assert_eq!(lists.basic(&[3, 0, 7, 0, 0, 1]).unwrap_err(), ListError::NoBytes);
            assert_eq!(lists.basic(&[3, 0, 7, 0, 0]).unwrap().values().count(), 0);
        },
    );
}

#[test]
fn lengths_that_lie_are_refused() {
    with_list(
        iana::BASIC_LIST,
        1,
        |record| nest(record, 1),
        |lists, _| {
            lists.basic(&[3, 0, 7, 0, 2, 1]).unwrap_err();
            lists.basic(&[3, 0, 7, 0xff, 0xff, 255, 0xff, 0xff, 1]).unwrap_err();
            lists.basic(&[3, 0x80, 7, 0, 2]).unwrap_err();
            lists.sub_template(&[3, 1]).unwrap_err();
            let reserved = lists.sub_template(&[3, 0, 2]).unwrap_err();
            assert_eq!(reserved, ListError::TemplateId(InvalidTemplateId(2)));
            let short = lists.sub_template_multi(&[3, 1, 1, 0, 3]).unwrap_err();
            assert_eq!(short, ListError::Short(3));
            lists.sub_template_multi(&[3, 1, 1, 0, 9, 1]).unwrap_err();
            assert_eq!(lists.open(DataType::String, &[]).unwrap_err(), ListError::NotAList);
        },
    );
}
