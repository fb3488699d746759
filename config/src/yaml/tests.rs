use proptest::prelude::*;
use serde_yaml::Value as Foreign;

use super::*;

fn text(line: usize, column: usize, text: &str) -> Node {
    Node { at: Position { line, column }, value: Value::Text(text.to_owned()) }
}

#[test]
fn everything_keeps_its_place() {
    let document =
        parse("a: 5s\nb:\n  - x\n  - 'null'\nc: # nothing\nd: {e: [1, ü, 2]}\n").unwrap();
    let Value::Section(entries) = document.root.value else { panic!("{document:?}") };
    let keys: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.at.line)).collect();
    assert_eq!(keys, [("a", 1), ("b", 2), ("c", 5), ("d", 6)]);
    assert_eq!(entries[0].node, text(1, 4, "5s"));
    assert_eq!(entries[1].node.value, Value::List(vec![text(3, 5, "x"), text(4, 5, "null")]));
    assert_eq!(entries[2].node.value, Value::Null);
    let Value::Section(inner) = &entries[3].node.value else { panic!("{entries:?}") };
    let list = Value::List(vec![text(6, 9, "1"), text(6, 12, "ü"), text(6, 15, "2")]);
    assert_eq!((inner[0].at, &inner[0].node.value), (Position { line: 6, column: 5 }, &list));
}

#[test]
fn nothing_is_null() {
    for nothing in ["", "# only a comment\n", "---\n", "null", "~", "\u{feff}"] {
        assert_eq!(parse(nothing).unwrap().root.value, Value::Null, "{nothing:?}");
    }
}

#[test]
fn each_duplicate_is_told() {
    let document = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n").unwrap();
    let told: Vec<_> = document
        .duplicates
        .iter()
        .map(|it| (it.path.as_str(), it.at.to_string(), it.first.to_string()))
        .collect();
    let at = |at: &str| at.to_owned();
    assert_eq!(told, [("b.c", at("2:11"), at("2:5")), ("a", at("3:1"), at("1:1"))]);
}

#[track_caller]
fn refused(given: &str, line: usize, why: &str) {
    let error = parse(given).unwrap_err();
    assert!(error.at.line == line && error.what.contains(why), "{error}");
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    refused("a: 1\n---\nb: 2\n", 2, "second document");
    refused("a: [1,\nb: 2\n", 1, "unclosed");
    refused("a: 1\n\tb: 2\n", 1, "tab");
    refused("? [a]\n: 1\n", 1, "cannot be a key");
    refused("&x a: 1\n*x : 2\n", 2, "must be text");
    refused("a: *missing\n", 1, "");
}

#[test]
fn an_alias_is_not_followed() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        bomb = format!("{bomb}a{level}: &a{level} [{below}*a{}]\n", level - 1);
    }
    let Value::Section(entries) = parse(&bomb).unwrap().root.value else { panic!() };
    let Value::List(nodes) = &entries[19].node.value else { panic!() };
    assert!(nodes.iter().all(|node| node.value == Value::Alias));
}

#[test]
fn depth_and_number_are_limited() {
    refused(&"[".repeat(100_000), 1, "");
    let deep: Vec<String> = (0..1000).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
    refused(&deep.join("\n"), 65, "");
    refused(&format!("[{}]", "a,".repeat(MAX_VALUES + 1)), 1, "20000 keys and values");
}

#[test]
fn length_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    let file = File::create(&path).unwrap();
    file.set_len(MAX_LENGTH).unwrap();
    assert_eq!(load(&path).unwrap().len(), 1 << 20);
    // A gigabyte of holes: reading it whole would show in this test's time and memory.
    file.set_len(1 << 30).unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("longer than 1048576 bytes"));
    std::fs::write(&path, b"a: \xff").unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("byte 3 is not UTF-8"));
}

/// What another parser makes of the same text, in the same words.
fn agrees(node: &Node, foreign: &Foreign) -> bool {
    match (&node.value, foreign) {
        // Numbers and truth are left to the key.
        (Value::Null, Foreign::Null) | (Value::Text(_), Foreign::Bool(_) | Foreign::Number(_)) => {
            true
        }
        (Value::Text(text), Foreign::String(other)) => text == other,
        (Value::List(nodes), Foreign::Sequence(others)) => {
            nodes.len() == others.len() && nodes.iter().zip(others).all(|(a, b)| agrees(a, b))
        }
        (Value::Section(entries), Foreign::Mapping(others)) => {
            entries.len() == others.len()
                && entries.iter().all(|it| others.get(&it.key).is_some_and(|b| agrees(&it.node, b)))
        }
        _ => false,
    }
}

fn tree() -> impl Strategy<Value = Foreign> {
    let words = "[a-z ~:#'\"\\n{}\\[\\]&*!|>%@,-]{0,12}";
    let leaf = prop_oneof![Just(Foreign::Null), words.prop_map(Foreign::String)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Foreign::Sequence);
        let section = prop::collection::hash_map("[a-z]{1,6}", inner, 0..6);
        let section = section.prop_map(|entries| {
            let entries = entries.into_iter().map(|(key, value)| (Foreign::String(key), value));
            Foreign::Mapping(entries.collect())
        });
        prop_oneof![list, section]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(.|[\\n :#\\-\\[\\]{},&*!|>'\"%@?]){0,200}") {
        drop(parse(&text));
    }

    #[test]
    fn another_writer_is_understood(tree in tree()) {
        let text = serde_yaml::to_string(&tree).unwrap();
        let read = parse(&text).unwrap();
        prop_assert!(agrees(&read.root, &tree), "{text}\n{read:?}");
    }
}
