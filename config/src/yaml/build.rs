use std::collections::HashMap;

use granit_parser::{Event, ScalarStyle};

use super::{Duplicate, Entry, MAX_DEPTH, MAX_VALUES, Node, Position, SyntaxError, Value};

/// Characters of a key that a message shows.
const SHOWN: usize = 64;

/// The tree as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) root: Option<Node>,
    pub(super) duplicates: Vec<Duplicate>,
    open: Vec<Open>,
    values: usize,
    documents: usize,
}

/// A list or a section whose end has not come.
#[derive(Debug)]
struct Open {
    at: Position,
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    List(Vec<Node>),
    Section {
        entries: Vec<Entry>,
        keys: HashMap<String, Position>,
        key: Option<(String, Position)>,
    },
}

impl Builder {
    pub(super) fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, ..) => self.value(Node { at, value: scalar(&text, style) }),
            Event::Alias(_) => self.value(Node { at, value: Value::Alias }),
            Event::SequenceStart(..) => self.open(at, Inside::List(Vec::new())),
            Event::MappingStart(..) => {
                let (entries, keys) = (Vec::new(), HashMap::new());
                self.open(at, Inside::Section { entries, keys, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn document(&mut self, at: Position) -> Result<(), SyntaxError> {
        self.documents += 1;
        if self.documents > 1 {
            return refuse(at, "a second document begins here; a file has one");
        }
        Ok(())
    }

    fn open(&mut self, at: Position, inside: Inside) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return refuse(at, format!("more than {MAX_DEPTH} lists and sections in each other"));
        }
        if self.awaits_key() {
            return refuse(at, "a list or a section cannot be a key");
        }
        self.open.push(Open { at, inside });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        let Some(Open { at, inside }) = self.open.pop() else { return Ok(()) };
        let value = match inside {
            Inside::List(nodes) => Value::List(nodes),
            Inside::Section { entries, .. } => Value::Section(entries),
        };
        self.value(Node { at, value })
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Section { key: None, .. }, .. }))
    }

    /// Puts a value, or a key, where it belongs.
    fn value(&mut self, node: Node) -> Result<(), SyntaxError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return refuse(node.at, format!("more than {MAX_VALUES} keys and values"));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.inside {
            Inside::List(nodes) => nodes.push(node),
            Inside::Section { entries, keys, key } => match key.take() {
                None => *key = Some(as_key(node)?),
                Some((key, at)) => {
                    if let Some(&first) = keys.get(&key) {
                        let path = self.path(&key);
                        self.duplicates.push(Duplicate { path, at, first });
                    } else {
                        keys.insert(key.clone(), at);
                        entries.push(Entry { key, at, node });
                    }
                }
            },
        }
        Ok(())
    }
}

impl Builder {
    /// Each section that is open waits for the value of a key.
    fn path(&self, key: &str) -> String {
        let keys = self.open.iter().filter_map(|open| match &open.inside {
            Inside::Section { key: Some((key, _)), .. } => Some(key.as_str()),
            _ => None,
        });
        let shown = keys.chain([key]).map(|key| key.chars().take(SHOWN).collect::<String>());
        shown.collect::<Vec<_>>().join(".")
    }
}

/// An unquoted word for nothing is nothing.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = matches!(style, ScalarStyle::Plain);
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Text(text.to_owned())
}

fn as_key(node: Node) -> Result<(String, Position), SyntaxError> {
    match node.value {
        Value::Text(key) => Ok((key, node.at)),
        Value::Null => Ok((String::new(), node.at)),
        Value::List(_) | Value::Section(_) | Value::Alias => refuse(node.at, "a key must be text"),
    }
}

fn refuse<T>(at: Position, what: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError { at, what: what.into() })
}
