//! What the Exporting Process sends if nobody asks for more is what every collector can read: one
//! Set per message, no padding, no reduced lengths, and at most 1,024 bytes over UDP. Some
//! collectors die of anything else. Whoever asks for more gets it.
//!
//! What arrives is cut by hand (`plain`), and not by this crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

mod plain;

use std::{collections::HashMap, net::Ipv4Addr, time::Duration};

use ipfix::{
    encode::{EncodeError, Encoder, Packing, max_message_over_ipv4},
    registry::{self, iana},
    template::{FieldSpecifier, Template, TemplateId},
    transport::{
        Destination, Transport,
        export::{Export, ExportingProcess, Messages},
    },
};
use plain::{Field, Message, Record, VARIABLE};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, UdpSocket},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// More than one message of 1,472 bytes holds.
const RECORDS: u64 = 200;

/// Flows of two kinds in turn, each with all it takes to be tempted: numbers that would fit fewer
/// bytes, and names that leave records unaligned.
struct Flows {
    lengths: [u16; 2],
    refused: usize,
}

impl Flows {
    fn conservative() -> Self {
        Self { lengths: [8, 2], refused: 0 }
    }
}

const IDS: [u16; 2] = [256, 257];

impl Export for Flows {
    /// Number and name.
    type Record = (u64, String);

    fn templates(&self) -> Vec<Template> {
        let [octets, port] = self.lengths;
        let octets = FieldSpecifier { length: octets, ..iana::OCTET_DELTA_COUNT.into() };
        let port = FieldSpecifier { length: port, ..iana::SOURCE_TRANSPORT_PORT.into() };
        let last = [iana::SOURCE_IPV4_ADDRESS, iana::INTERFACE_NAME].map(FieldSpecifier::from);
        let [first, second] = IDS.map(|id| TemplateId::new(id).unwrap());
        let fields = |field| [&[field], last.as_slice()].concat();
        vec![
            Template { id: first, fields: fields(octets), scope_count: 0 },
            Template { id: second, fields: fields(port), scope_count: 0 },
        ]
    }

    fn encode(
        &self,
        (number, name): &Self::Record,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let kind = usize::from(number % 2 == 1);
        encoder.record(export_time, TemplateId::new(IDS[kind]).unwrap(), out, |record| {
            record.unsigned(*number, self.lengths[kind]);
            record.ipv4(Ipv4Addr::LOCALHOST);
            record.string(name);
        })
    }

    fn refused(&mut self, _: &Self::Record, _: EncodeError) {
        self.refused += 1;
    }
}

fn records() -> Vec<(u64, String)> {
    (0..RECORDS).map(|number| (number, "x".repeat(usize::try_from(number % 7).unwrap()))).collect()
}

/// The Set ID and the bytes of the values of each record, as [`Flows`] should have been written.
fn expected(lengths: [usize; 2]) -> Vec<(u16, Record)> {
    let record = |(number, name): (u64, String)| {
        let kind = usize::try_from(number % 2).unwrap();
        let number = number.to_be_bytes()[8 - lengths[kind]..].to_vec();
        (IDS[kind], vec![number, vec![127, 0, 0, 1], name.into_bytes()])
    };
    records().into_iter().map(record).collect()
}

/// Sends `records` over TCP as `ask` wants it; returns what arrives.
async fn over_tcp(export: Flows, ask: impl Fn(Messages) -> Messages) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let destination = Destination::new(address, Transport::Tcp);
    let messages = ask(Messages::conservative(7, &destination));
    let mut process = ExportingProcess::new(destination, messages, export).unwrap();
    for record in records() {
        process.push(record);
    }
    let read = tokio::spawn(async move {
        let (mut stream, mut bytes) = (listener.accept().await.unwrap().0, Vec::new());
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    process.flush(9).await.unwrap();
    assert_eq!(process.counters().records, RECORDS);
    // What arrived is what counts.
    let _closed = process.close().await;
    timeout(PATIENCE, read).await.unwrap().unwrap()
}

/// Sends `records` over UDP as `ask` wants it; returns the datagrams, and how many records were
/// refused.
async fn over_udp(
    records: Vec<(u64, String)>,
    ask: impl Fn(Messages) -> Messages,
) -> (Vec<Vec<u8>>, usize) {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = collector.local_addr().unwrap().to_string();
    let destination = Destination::new(address, Transport::Udp);
    let messages = ask(Messages::conservative(7, &destination));
    let export = Flows::conservative();
    let mut process = ExportingProcess::new(destination, messages, export).unwrap();
    let mut datagrams = Vec::new();
    let mut told = 0;
    for records in records.chunks(20) {
        for record in records {
            process.push(record.clone());
        }
        process.flush(9).await.unwrap();
        // As many at a time as a socket holds.
        while told < process.counters().messages {
            let mut buffer = vec![0; 65_535];
            let length = timeout(PATIENCE, collector.recv(&mut buffer)).await.unwrap().unwrap();
            buffer.truncate(length);
            datagrams.push(buffer);
            told += 1;
        }
    }
    (datagrams, process.export().refused)
}

/// The records in messages, by Set ID; fails if there is a byte that belongs to none.
#[track_caller]
fn read(messages: &[Message]) -> Vec<(u16, Record)> {
    let mut templates = HashMap::new();
    let mut records = Vec::new();
    for (id, body) in messages.iter().flat_map(|message| &message.sets) {
        if *id == 2 {
            let template = read_template(body);
            templates.insert(template.id, template);
        } else {
            let (all, padding) = templates[id].cut(body);
            assert_eq!(padding, [], "padding");
            records.extend(all.into_iter().map(|record| (*id, record)));
        }
    }
    records
}

/// Reads a Set that is one Template Record of elements of IANA; fails if there is anything else.
#[track_caller]
fn read_template(body: &[u8]) -> plain::Template {
    let numbers: Vec<u16> =
        body.chunks(2).map(|bytes| u16::from_be_bytes(bytes.try_into().unwrap())).collect();
    let [id, count, fields @ ..] = numbers.as_slice() else { panic!("{body:?}") };
    assert_eq!(fields.len(), 2 * usize::from(*count), "one Template and no padding");
    let field = |field: &[u16]| Field { pen: None, id: field[0], length: field[1] };
    plain::Template::new(*id, &fields.chunks(2).map(field).collect::<Vec<_>>())
}

/// How many records each Set has that has any.
fn records_per_set(messages: &[Message]) -> Vec<usize> {
    let sets = messages.iter().flat_map(|message| &message.sets).filter(|(id, _)| *id > 255);
    let lengths = |id| if id == IDS[0] { 8 } else { 2 };
    sets.map(|(id, body)| {
        let first = Field { pen: None, id: 1, length: lengths(*id) };
        let address = Field { length: 4, ..first };
        let name = Field { length: VARIABLE, ..first };
        plain::Template::new(*id, &[first, address, name]).cut(body).0.len()
    })
    .collect()
}

#[tokio::test]
async fn a_message_has_one_set_with_one_record_and_no_padding() {
    let bytes = over_tcp(Flows::conservative(), |messages| messages).await;
    let messages = plain::cut(&bytes);
    assert!(messages.iter().all(|message| message.sets.len() == 1));
    assert!(records_per_set(&messages).iter().all(|records| *records == 1));
    assert_eq!(read(&messages), expected([8, 2]));
    let numbers: Vec<u32> = messages.iter().map(|message| message.sequence).collect();
    let counted: Vec<u32> = [0, 0].into_iter().chain(0..u32::try_from(RECORDS).unwrap()).collect();
    assert_eq!(numbers, counted);
}

#[tokio::test]
async fn a_message_is_filled_if_asked_for() {
    let ask = |messages| Messages { packing: Packing::Full, ..messages };
    let messages = plain::cut(&over_tcp(Flows::conservative(), ask).await);
    // Two Templates, and all records in one message; they take turns, and so do their Sets.
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[2].sets.len(), usize::try_from(RECORDS).unwrap());
    // Nor is there padding where Sets follow each other.
    assert_eq!(read(&messages), expected([8, 2]));
}

#[tokio::test]
async fn a_set_is_filled_if_asked_for() {
    let ask = |messages| Messages { packing: Packing::Full, ..messages };
    let (even, _): (Vec<_>, Vec<_>) = records().into_iter().partition(|(n, _)| n % 2 == 0);
    let (datagrams, _) = over_udp(even, ask).await;
    let messages = plain::cut(&datagrams.concat());
    assert!(records_per_set(&messages).iter().all(|records| *records > 1));
}

#[tokio::test]
async fn a_datagram_has_at_most_1024_bytes() {
    // Headers take 20 bytes, and what comes before the name 12, and its length 3.
    let names = [0, 500, 988, 989, 990, 2_000, 65_000].map(|length| (0, "x".repeat(length)));
    let (datagrams, refused) = over_udp(names.to_vec(), |messages| messages).await;
    let lengths: Vec<usize> = datagrams[2..].iter().map(Vec::len).collect();
    assert_eq!((lengths.as_slice(), refused), (&[33, 535, 1023, 1024][..], 3));
    let ask = |messages| Messages { packing: Packing::Full, ..messages };
    let (datagrams, refused) = over_udp(records(), ask).await;
    assert!(datagrams.iter().all(|datagram| datagram.len() <= 1024));
    assert_eq!((read(&plain::cut(&datagrams.concat())), refused), (expected([8, 2]), 0));
}

#[tokio::test]
async fn a_datagram_is_longer_if_asked_for() {
    let ask = |messages| Messages {
        packing: Packing::Full,
        max_length: max_message_over_ipv4(1_500),
        ..messages
    };
    let names = [989, 990, 1_437, 1_438].map(|length| (0, "x".repeat(length)));
    let (datagrams, refused) = over_udp(names.to_vec(), ask).await;
    let lengths: Vec<usize> = datagrams[2..].iter().map(Vec::len).collect();
    // 1,500 bytes without the headers of IPv4 and UDP.
    assert_eq!((lengths.as_slice(), refused), (&[1024, 1025, 1472][..], 1));
}

#[tokio::test]
async fn lengths_are_reduced_if_asked_for() {
    let export = Flows { lengths: [3, 1], ..Flows::conservative() };
    let bytes = over_tcp(export, |messages| messages).await;
    assert_eq!(read(&plain::cut(&bytes)), expected([3, 1]));
}

/// The length of each type (RFC 7011, section 6.1).
fn natural_length(data_type: &str) -> u16 {
    match data_type {
        "unsigned8" | "signed8" | "boolean" => 1,
        "unsigned16" | "signed16" => 2,
        "unsigned32" | "signed32" | "float32" | "dateTimeSeconds" | "ipv4Address" => 4,
        "macAddress" => 6,
        "unsigned64"
        | "signed64"
        | "float64"
        | "dateTimeMilliseconds"
        | "dateTimeMicroseconds"
        | "dateTimeNanoseconds" => 8,
        "ipv6Address" => 16,
        "unsigned256" => 32,
        "string" | "octetArray" | "basicList" | "subTemplateList" | "subTemplateMultiList" => {
            VARIABLE
        }
        other => panic!("{other} is no type"),
    }
}

#[test]
fn no_element_has_a_reduced_length() {
    let registry = include_str!("../registry/iana.csv").lines().skip(1);
    let mut elements = Vec::new();
    let mut expected = Vec::new();
    for line in registry {
        let [id, _, data_type, length, ..] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let id = id.parse().unwrap();
        elements.push(registry::element(0, id).unwrap());
        let natural = natural_length(data_type);
        // Where the registry states a length, it is not that of a number cut short.
        let length = if length.is_empty() { natural } else { length.parse().unwrap() };
        assert!(natural == VARIABLE || length == natural, "{line}");
        expected.push(Field { pen: None, id, length });
    }
    let mut bytes = Vec::new();
    let mut encoder = Encoder::stream(7);
    encoder.template(9, &Template::new(TemplateId::MIN, elements), &mut bytes).unwrap();
    let [Message { sets, .. }] = plain::cut(&bytes).try_into().unwrap();
    let [(2, body)] = sets.as_slice() else { panic!("one Template Set") };
    assert_eq!(read_template(body).fields, expected);
}
