//! Antrea's template by its table of elements, read from a file.

use flow::{Contents, Mode};

const TABLE: &str = include_str!("elements.csv");

const fn contents(names: bool, uids: bool, mode: Mode) -> Contents {
    Contents { names, uids, mode }
}

pub(crate) const ALL_CONTENTS: [Contents; 8] = [
    contents(true, false, Mode::Aggregate),
    contents(false, true, Mode::Aggregate),
    contents(true, true, Mode::Aggregate),
    contents(false, false, Mode::Aggregate),
    contents(true, false, Mode::Proxy),
    contents(false, true, Mode::Proxy),
    contents(true, true, Mode::Proxy),
    contents(false, false, Mode::Proxy),
];

struct Element {
    name: &'static str,
    pen: u32,
    id: u16,
    length: u16,
}

fn elements(contents: Contents, version: char) -> Vec<Element> {
    let rows = TABLE.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let rows = rows.filter(|row| {
        let when = row[5].trim_end_matches(['4', '6']);
        let of_family = !row[5].ends_with(['4', '6']) || row[5].ends_with(version);
        of_family
            && match when {
                "A" => true,
                "N" => contents.names,
                "U" => contents.uids,
                "NU" => contents.names || contents.uids,
                "Agg" => contents.mode == Mode::Aggregate,
                "Prx" => contents.mode == Mode::Proxy,
                other => panic!("{other}"),
            }
    });
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let short = |text: &str| text.parse::<u16>().expect("a number");
    let element = |row: Vec<&'static str>| Element {
        name: row[0],
        pen: number(row[1]),
        id: short(row[2]),
        length: short(row[4]),
    };
    rows.map(element).collect()
}

/// The names of the elements.
pub(crate) fn wanted(contents: Contents, version: char) -> Vec<String> {
    elements(contents, version).iter().map(|element| element.name.to_owned()).collect()
}

/// A Template Set, as RFC 7011, section 3.4.1, has it.
pub(crate) fn template(id: u16, contents: Contents, version: char) -> Vec<u8> {
    let elements = elements(contents, version);
    let count = u16::try_from(elements.len()).expect("few");
    let mut fields = Vec::new();
    for Element { pen, id, length, .. } in elements {
        let enterprise = if pen == 0 { 0 } else { 0x8000 };
        fields.extend((id | enterprise).to_be_bytes());
        fields.extend(length.to_be_bytes());
        if pen != 0 {
            fields.extend(pen.to_be_bytes());
        }
    }
    let length = u16::try_from(8 + fields.len()).expect("short");
    [&[0, 2][..], &length.to_be_bytes(), &id.to_be_bytes(), &count.to_be_bytes(), &fields].concat()
}
