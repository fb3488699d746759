//! Random messages, and what each of them says.

use ipfix::registry::{self, IANA_PEN, InformationElement};
use proptest::{collection::vec, prelude::*, sample};

use crate::{
    plain::{Field, Record, Template, VARIABLE, message, set},
    said::Said,
};

/// IANA's elements, and their reverse ones, of which `netflow_parser` masks the bits without a
/// meaning, so that their bytes cannot be had back: tcpControlBits, mplsTopLabelExp and
/// postMplsTopLabelExp.
pub const MASKED: [u16; 3] = [6, 203, 237];

/// A Template, and records of it by the Set they are sent in.
#[derive(Debug, Clone)]
pub struct Flow {
    pub template: Template,
    pub pieces: Vec<Piece>,
}

/// A Data Set, and what is done about it.
#[derive(Debug, Clone)]
pub struct Piece {
    pub records: Vec<Record>,
    /// Bytes behind the records, if no record is as short.
    padding: usize,
    /// Short values have long lengths.
    long: bool,
    /// A new message begins here.
    split: bool,
    /// A Set nobody can read comes before it.
    noise: Option<u16>,
}

/// Every element of IANA, of the reverse direction and of Antrea.
fn known_fields() -> Vec<Field> {
    let numbers = [0, 29305, 56506].map(|pen| (1..600).map(move |id| (pen, id)));
    let elements = numbers.into_iter().flatten().filter_map(|(pen, id)| registry::element(pen, id));
    let field = |element: InformationElement| Field {
        pen: Some(element.pen).filter(|pen| *pen != IANA_PEN),
        id: element.id,
        length: element.length,
    };
    elements.map(field).collect()
}

fn field() -> impl Strategy<Value = Field> {
    let known = sample::select(known_fields());
    let length = prop_oneof![1 => Just(VARIABLE), 2 => 1_u16..=32];
    let pen =
        prop_oneof![Just(None), Just(Some(56506)), Just(Some(29305)), (1_u32..).prop_map(Some)];
    let any = (pen, 0_u16..0x8000, length.clone());
    prop_oneof![
        2 => known.clone(),
        // Reduced and other lengths than its registry says.
        1 => (known, length).prop_map(|(field, length)| Field { length, ..field }),
        2 => any.prop_map(|(pen, id, length)| Field { pen, id, length }),
    ]
    .prop_filter("its bits are kept", |field| {
        field.pen.is_some_and(|pen| pen != 29305) || !MASKED.contains(&field.id)
    })
}

/// Values of no bytes are left out: see
/// `a_value_of_no_bytes_ends_a_set_for_netflow_parser`.
fn value(field: Field) -> BoxedStrategy<Vec<u8>> {
    match field.length {
        VARIABLE => prop_oneof![vec(any::<u8>(), 1..9), vec(any::<u8>(), 250..300)].boxed(),
        fixed => vec(any::<u8>(), usize::from(fixed)).boxed(),
    }
}

/// Scopes of all fields are left out: see `a_scope_may_be_all_there_is`.
fn template() -> impl Strategy<Value = Template> {
    (vec(field(), 1..12), any::<sample::Index>(), any::<bool>()).prop_map(
        |(fields, scope, options)| {
            let scope_count = if options { scope.index(fields.len()) } else { 0 };
            Template { id: 256, scope_count: scope_count.try_into().unwrap(), fields }
        },
    )
}

fn piece(template: &Template) -> impl Strategy<Value = Piece> + use<> {
    let record: Vec<_> = template.fields.iter().copied().map(value).collect();
    let shortest = template.shortest();
    let noise =
        prop_oneof![4 => Just(None), 1 => (4_u16..256).prop_map(Some), 1 => Just(Some(60_000))];
    (vec(record, 0..4), 0_usize..4, any::<bool>(), any::<bool>(), noise).prop_map(
        move |(records, padding, long, split, noise)| Piece {
            records,
            padding: padding.min(shortest - 1),
            long,
            split,
            noise,
        },
    )
}

fn flow() -> impl Strategy<Value = Flow> {
    template().prop_flat_map(|template| {
        vec(piece(&template), 0..4)
            .prop_map(move |pieces| Flow { template: template.clone(), pieces })
    })
}

/// Flows that are told about at the same time, so that each has an id of its own. Options Templates
/// are not taken back: see `options_templates_are_taken_back`.
pub fn flows(first_of_options: u16) -> impl Strategy<Value = Vec<Flow>> {
    vec(flow(), 1..5).prop_map(move |mut flows| {
        for (id, flow) in (0..).zip(&mut flows) {
            let first = if flow.template.scope_count > 0 { first_of_options } else { 256 };
            flow.template.id = first + id;
        }
        flows
    })
}

/// Messages, and what each of them says.
#[derive(Debug, Default)]
pub struct Script {
    pub messages: Vec<(Vec<u8>, Said)>,
    sets: Vec<u8>,
    said: Said,
    sequence: u32,
}

impl Script {
    pub const DOMAIN: u32 = 0x1234_5678;

    fn close(&mut self) {
        let sets = std::mem::take(&mut self.sets);
        let said = std::mem::take(&mut self.said);
        let said = Said { domain: Self::DOMAIN, sequence: self.sequence, ..said };
        self.sequence += u32::try_from(said.records.len()).unwrap();
        self.messages.push((message(Self::DOMAIN, said.sequence, &sets), said));
    }

    /// Adds a Set of Templates, or of Options Templates.
    fn templates(&mut self, flows: &[Flow], options: bool, padding: usize) {
        let of_kind = |flow: &&Flow| (flow.template.scope_count > 0) == options;
        let templates: Vec<_> =
            flows.iter().filter(of_kind).map(|flow| flow.template.clone()).collect();
        if templates.is_empty() {
            return;
        }
        let mut body = templates.iter().flat_map(Template::bytes).collect::<Vec<u8>>();
        body.resize(body.len() + padding, 0);
        self.sets.extend(set(if options { 3 } else { 2 }, &body));
        self.said.templates.extend(templates);
    }

    /// Adds a Set that takes Templates back (RFC 7011, section 8.1).
    fn withdraw(&mut self, flows: &[Flow]) {
        let templates = flows.iter().map(|flow| &flow.template);
        let ids =
            templates.filter(|template| template.scope_count == 0).map(|template| template.id);
        let body: Vec<u8> = ids.flat_map(|id| [id.to_be_bytes(), [0, 0]].concat()).collect();
        if !body.is_empty() {
            self.sets.extend(set(2, &body));
        }
    }

    fn data(&mut self, template: &Template, piece: &Piece) {
        if piece.split {
            self.close();
        }
        if let Some(id) = piece.noise {
            self.sets.extend(set(id, &[0xff; 7]));
        }
        let mut body = Vec::new();
        for record in &piece.records {
            body.extend(template.record(record, piece.long));
            self.said.records.push((template.id, record.clone()));
        }
        body.resize(body.len() + piece.padding, 0);
        self.sets.extend(set(template.id, &body));
    }

    /// Tells about several flows, their Data Sets in turn, and takes their Templates back.
    pub fn round(&mut self, flows: &[Flow], padding: usize) {
        self.templates(flows, false, padding);
        self.templates(flows, true, padding);
        for turn in 0..3 {
            for flow in flows {
                if let Some(piece) = flow.pieces.get(turn) {
                    self.data(&flow.template, piece);
                }
            }
            self.close();
        }
        self.withdraw(flows);
    }
}
