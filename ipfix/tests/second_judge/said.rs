//! What a message said, whoever read it.

use ipfix::{
    decode::{DataRecord, Session},
    registry::IANA_PEN,
    template::{self, FieldSpecifier, TemplateId},
};
use netflow_parser::{
    NetflowPacket, NetflowParser,
    variable_versions::{
        field_value::FieldValue,
        ipfix::{FlowSetBody, IPFixFlowRecord, TemplateField},
    },
};

use crate::plain::{Field, Record, Template};

/// What one message said, whoever read it.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub domain: u32,
    pub sequence: u32,
    pub templates: Vec<Template>,
    /// Set ID and values.
    pub records: Vec<(u16, Record)>,
}

/// What our decoder makes of a message.
pub fn ours(session: &mut Session<()>, message: &[u8]) -> Said {
    let mut said = Said::default();
    let summary = session.decode(
        message,
        |template| said.templates.push(plain_template(template)),
        |(), template, record: DataRecord<'_>| {
            said.records.push((template.id.get(), record.values().map(<[u8]>::to_vec).collect()));
        },
    );
    let header = summary.unwrap().header;
    Said { domain: header.domain, sequence: header.sequence_number, ..said }
}

fn plain_template(template: &template::Template) -> Template {
    let field = |field: &FieldSpecifier| Field {
        pen: Some(field.pen).filter(|pen| *pen != IANA_PEN),
        id: field.id,
        length: field.length,
    };
    Template {
        id: template.id.get(),
        scope_count: template.scope_count,
        fields: template.fields.iter().map(field).collect(),
    }
}

/// What `netflow_parser` makes of a message.
pub fn theirs(parser: &mut NetflowParser, message: &[u8]) -> Said {
    let result = parser.parse_bytes(message);
    assert!(result.error.is_none(), "{:?}", result.error);
    let [NetflowPacket::IPFix(packet)] = result.packets.as_slice() else {
        panic!("not one message: {:?}", result.packets)
    };
    assert_eq!(usize::from(packet.header.length), message.len());
    let mut said = Said {
        domain: packet.header.observation_domain_id,
        sequence: packet.header.sequence_number,
        ..Said::default()
    };
    for flowset in &packet.flowsets {
        let id = flowset.header.header_id;
        match &flowset.body {
            FlowSetBody::Template(one) => said.templates.push(their_template(one)),
            FlowSetBody::Templates(all) => said.templates.extend(all.iter().map(their_template)),
            FlowSetBody::OptionsTemplate(one) => said.templates.push(their_options(one)),
            FlowSetBody::OptionsTemplates(all) => {
                said.templates.extend(all.iter().map(their_options));
            }
            FlowSetBody::Data(data) => said.records.extend(their_records(id, &data.fields)),
            FlowSetBody::OptionsData(data) => said.records.extend(their_records(id, &data.fields)),
            FlowSetBody::NoTemplate(_) | FlowSetBody::Empty => {}
            other => panic!("not of IPFIX: {other:?}"),
        }
    }
    said
}

fn their_template(template: &netflow_parser::variable_versions::ipfix::Template) -> Template {
    assert_eq!(usize::from(template.field_count), template.fields.len());
    Template::new(template.template_id, &their_fields(&template.fields))
}

fn their_options(template: &netflow_parser::variable_versions::ipfix::OptionsTemplate) -> Template {
    let fields = their_fields(&template.fields);
    Template {
        scope_count: template.scope_field_count,
        ..Template::new(template.template_id, &fields)
    }
}

fn their_fields(fields: &[TemplateField]) -> Vec<Field> {
    let plain = |field: &TemplateField| Field {
        pen: field.enterprise_number,
        id: field.field_type_number,
        length: field.field_length,
    };
    fields.iter().map(plain).collect()
}

fn their_records(id: u16, records: &[IPFixFlowRecord]) -> impl Iterator<Item = (u16, Record)> {
    let bytes = |value: &FieldValue| {
        let mut bytes = Vec::new();
        value.write_be_bytes(&mut bytes).unwrap();
        bytes
    };
    records.iter().map(move |record| (id, record.iter().map(|(_, value)| bytes(value)).collect()))
}

pub fn our_template(template: &Template) -> template::Template {
    let field = |field: &Field| FieldSpecifier {
        pen: field.pen.unwrap_or(IANA_PEN),
        id: field.id,
        length: field.length,
    };
    template::Template {
        id: TemplateId::new(template.id).unwrap(),
        fields: template.fields.iter().map(field).collect(),
        scope_count: template.scope_count,
    }
}

/// Compares what was said with what was meant; a difference is one field, not pages.
#[track_caller]
pub fn check(said: &Said, meant: &Said) {
    assert_eq!((said.domain, said.sequence), (meant.domain, meant.sequence));
    assert_eq!(said.templates, meant.templates);
    for ((id, values), (meant_id, meant_values)) in said.records.iter().zip(&meant.records) {
        assert_eq!((id, values.len()), (meant_id, meant_values.len()));
        for (index, (value, meant_value)) in values.iter().zip(meant_values).enumerate() {
            assert_eq!(value, meant_value, "field {index} of Template {id}");
        }
    }
    assert_eq!(said.records.len(), meant.records.len());
}
