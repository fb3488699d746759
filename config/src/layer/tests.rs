use proptest::prelude::*;

use super::*;
use crate::yaml::Position;
use crate::{Name, Setting};

static FILE: FileKind = FileKind { name: "f", sections: None, items: &[] };
static FOREIGN: FileKind = FileKind { name: "f", sections: Some(&["ours"]), items: &[] };
static KEY: Key = Key {
    names: &[Name::current("f", "ours.interval"), Name::current("other", "elsewhere")],
    flag: None,
    variable: None,
    form: "a word",
    default: "x",
    doc: "",
};

fn told(kind: &'static FileKind, text: &str) -> (Option<Raw>, Vec<String>) {
    let mut findings = Findings::default();
    let layer = Layer::read(kind, "f", text, &[&KEY], &mut findings);
    let raw = layer.get("ours.interval").map(|given| given.raw.clone());
    (raw, findings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_value_is_found_in_its_section() {
    let word = |word: &str| Some(Raw::Text(word.into()));
    assert_eq!(told(&FILE, "ours: {interval: 7}"), (word("7"), vec![]));
    assert_eq!(told(&FILE, "ours:\n"), (None, vec![]));
    assert_eq!(told(&FILE, "ours: {interval: }"), (None, vec![]));
    let list = Raw::List(vec!["a".into(), "b".into()]);
    assert_eq!(told(&FILE, "ours: {interval: [a, b]}"), (Some(list), vec![]));
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    for (text, finding) in [
        (
            "ours: {interval: {a: 1}}",
            "f:1:18: error: ours.interval: expected a value, found a section",
        ),
        ("ours: {interval: [[a]]}", "f:1:18: error: ours.interval: expected a list of words"),
        ("ours: 7", "f:1:7: error: ours: expected a section, found one value"),
        ("[ours]", "f:1:1: error: expected keys and values, found a list"),
        (
            "a: &a 1\nours: {interval: *a}",
            "f:2:18: error: ours.interval: aliases are not followed; write the value here",
        ),
    ] {
        let (raw, findings) = told(&FILE, text);
        assert!(raw.is_none() && findings.iter().any(|it| it == finding), "{findings:?}");
    }
}

#[test]
fn an_unknown_key_counts_by_whose_the_file_is() {
    let text = "ours: {intervall: 1, new: 2}\nothers: {intervall: 3}\nour: {}\n";
    let (_, findings) = told(&FILE, text);
    assert_eq!(
        findings,
        [
            "f:1:8: error: ours.intervall: unknown key; did you mean interval?",
            "f:1:22: error: ours.new: unknown key; known here are interval",
            "f:2:1: error: others: unknown key; did you mean ours?",
            "f:3:1: error: our: unknown key; did you mean ours?",
        ]
    );
    let (_, findings) = told(&FOREIGN, text);
    assert_eq!(
        findings,
        [
            "f:1:8: warning: ours.intervall: unknown key; did you mean interval?",
            "f:1:22: warning: ours.new: unknown key; known here are interval",
            "f:3:1: warning: our: unknown key; did you mean ours?",
        ]
    );
}

#[test]
fn items_are_read_each_by_itself() {
    static KIND: FileKind =
        FileKind { name: "f", sections: None, items: &[Items { path: "list", keys: &[&KEY] }] };
    let mut sources = crate::Sources::default();
    let text = "list:\n- ours: {interval: a}\n- b\n- {our: 1, list: []}\n- ours: {interval: [c]}\n";
    let layer = Layer::read(&KIND, "f", text, &[], &mut sources.findings);
    sources.layers.push(layer);
    let mut read = Vec::new();
    for item in sources.take_items("f") {
        let picked = sources.pick_in(item, |inner| {
            inner.pick(&KEY, |raw| crate::read::text(raw).map(str::to_owned))
        });
        read.push(picked.map(|it| (it.value, it.origin.to_string())));
    }
    let at = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
    let default = || at("x", "default");
    assert_eq!(read, [at("a", "f:2:20"), default(), default()]);
    let told: Vec<_> = sources.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "f:3:3: error: list[1]: expected a section, found one value",
            "f:4:4: error: list[2].our: unknown key; did you mean ours?",
            "f:4:12: error: list[2].list: unknown key; known here are ours",
            "f:5:20: error: list[3].ours.interval: expected a word, found a list: one value is wanted",
        ]
    );
}

#[test]
fn a_key_stands_for_nothing_in_another_place() {
    for (text, finding) in [
        ("ours.interval: 7", "f:1:1: error: ours.interval: unknown key; known here are ours"),
        ("'': {ours: {interval: 7}}", "f:1:1: error: unknown key; known here are ours"),
        ("ours: {'': {interval: 7}}", "f:1:8: error: ours.: unknown key; known here are interval"),
    ] {
        assert_eq!(told(&FILE, text), (None, vec![finding.to_owned()]));
    }
}

#[test]
fn a_long_key_is_shown_in_part() {
    let (_, findings) = told(&FILE, &format!("{}: 1", "k\u{7}".repeat(500)));
    assert!(findings.concat().len() < 600, "{findings:?}");
}

#[test]
fn who_comes_first_wins_and_all_are_read() {
    static OTHER: FileKind = FileKind { name: "other", sections: None, items: &[] };
    let mut sources = crate::Sources::default();
    for (kind, text) in [(&OTHER, "elsewhere: 1"), (&FILE, "ours: {interval: [1]}")] {
        let layer = Layer::read(kind, kind.name, text, &[&KEY], &mut sources.findings);
        sources.layers.push(layer);
    }
    let picked = sources.pick(&KEY, |raw| crate::read::text(raw).map(str::to_owned));
    let at = Position { line: 1, column: 12 };
    let origin = Origin::File { file: "other".into(), at };
    assert_eq!(picked, Some(Setting::new("1".to_owned(), origin)));
    let mistake =
        "f:1:18: error: ours.interval: expected a word, found a list: one value is wanted";
    assert_eq!(sources.findings.to_string(), mistake);
}

proptest! {
    /// Whatever is written where, it is read or something is said, and said of a place in the file.
    #[test]
    fn any_text_is_read_or_refused(text in "(ours|others|interval|list|.|[\\n :#\\-\\[\\]{},&*]){0,60}") {
        static KIND: FileKind =
            FileKind { name: "f", sections: None, items: &[Items { path: "list", keys: &[&KEY] }] };
        let mut findings = Findings::default();
        let layer = Layer::read(&KIND, "f", &text, &[&KEY], &mut findings);
        for given in layer.items.iter().flat_map(|item| &item.layer.given).chain(&layer.given) {
            prop_assert_eq!(given.path, "ours.interval");
        }
        for finding in findings.iter() {
            prop_assert!(finding.to_string().starts_with("f:"), "{}", finding);
        }
    }
}
