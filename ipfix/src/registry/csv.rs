//! Elements out of a file an operator wrote.
//!
//! The columns are those of the registries this crate is built from, with the enterprise number in
//! front, so that one file may serve several enterprises. Nothing is added from a file with a
//! mistake in it, and all its mistakes are told at once.

use std::fmt;

use hashbrown::HashMap;

use super::{AddError, DataType, Definition, Registry, Semantics};

/// The first line of every file.
const HEADER: &str = "pen,id,name,type,length,semantics,units,range";

/// How many mistakes are told of one file.
const TOLD: usize = 100;

/// Everything that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvError(pub Vec<Problem>);

/// One mistake and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The first line is 1.
    pub line: usize,
    /// What is wrong there.
    pub mistake: Mistake,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The file does not begin with the names of the columns.
    #[error("first line is not {HEADER:?}")]
    Header,
    /// The line does not have eight fields.
    #[error("{0} fields, not 8")]
    Fields(usize),
    /// A field is not what its column asks for.
    #[error("{column} is {got:?}")]
    Field {
        /// The name of the column.
        column: &'static str,
        /// What the field says, cut to 64 characters.
        got: String,
    },
    /// An element comes twice in one file.
    #[error("element is the same as on line {0}")]
    Twice(usize),
    /// The line describes what no element can be.
    #[error(transparent)]
    Element(#[from] AddError),
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, mistake }) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}line {line}: {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CsvError {}

impl Registry {
    /// Adds the elements listed in `csv`, or none of them. Returns how many there are.
    ///
    /// The first line is `pen,id,name,type,length,semantics,units,range`. An empty length is the
    /// natural length of the type; semantics, units and range may be empty. Empty lines and those
    /// that begin with `#` are skipped; there are no quotes.
    pub fn add_csv(&mut self, csv: &str) -> Result<usize, CsvError> {
        let mut lines = csv.lines().map(str::trim).zip(1..);
        if lines.next().is_none_or(|(header, _)| header.trim_start_matches('\u{feff}') != HEADER) {
            return Err(CsvError(vec![Problem { line: 1, mistake: Mistake::Header }]));
        }
        let mut grown = self.clone();
        let mut seen = HashMap::new();
        let mut problems = Vec::new();
        for (text, line) in lines.filter(|(text, _)| !text.is_empty() && !text.starts_with('#')) {
            let added = definition(text).and_then(|definition| {
                let before = seen.insert((definition.pen, definition.id), line);
                before.map_or(Ok(()), |before| Err(Mistake::Twice(before)))?;
                Ok(grown.add(definition)?)
            });
            problems.extend(added.err().map(|mistake| Problem { line, mistake }));
            if problems.len() >= TOLD {
                break;
            }
        }
        if !problems.is_empty() {
            return Err(CsvError(problems));
        }
        *self = grown;
        Ok(seen.len())
    }
}

fn definition(line: &str) -> Result<Definition, Mistake> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let &[pen, id, name, data_type, length, semantics, units, range] = fields.as_slice() else {
        return Err(Mistake::Fields(fields.len()));
    };
    let data_type: DataType = parsed("type", data_type)?;
    let length = unless_empty(length, |length| parsed("length", length))?;
    Ok(Definition {
        pen: parsed("pen", pen)?,
        id: parsed("id", id)?,
        name: name.to_owned(),
        data_type,
        length: length.unwrap_or_else(|| data_type.natural_length()),
        semantics: parsed::<Semantics>("semantics", semantics)?,
        units: unless_empty(units, |units| Ok(units.to_owned()))?,
        range: unless_empty(range, limits)?,
    })
}

fn limits(range: &str) -> Result<(u64, u64), Mistake> {
    let Some((from, to)) = range.split_once('-') else {
        return Err(wrong("range", range));
    };
    Ok((parsed("range", from)?, parsed("range", to)?))
}

fn parsed<T: std::str::FromStr>(column: &'static str, got: &str) -> Result<T, Mistake> {
    got.parse().map_err(|_| wrong(column, got))
}

fn wrong(column: &'static str, got: &str) -> Mistake {
    Mistake::Field { column, got: got.chars().take(64).collect() }
}

fn unless_empty<T>(
    field: &str,
    parse: impl FnOnce(&str) -> Result<T, Mistake>,
) -> Result<Option<T>, Mistake> {
    if field.is_empty() { Ok(None) } else { parse(field).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::VARIABLE;

    #[test]
    fn the_elements_of_a_file_are_known() {
        let csv = "pen,id,name,type,length,semantics,units,range\n\
                   # of ACME\n\
                   \n\
                   4242,1,acmeRtt,unsigned32,,quantity,microseconds,0-1000000\n\
                   4242,2,acmeCookie,octetArray,8,,,\n\
                   4711,1,otherName,string,,,,\n";
        let mut registry = Registry::new();
        assert_eq!(registry.add_csv(csv), Ok(3));
        let rtt = registry.element(4242, 1).unwrap();
        assert_eq!((rtt.name, rtt.length, rtt.units), ("acmeRtt", 4, Some("microseconds")));
        assert_eq!((rtt.semantics, rtt.range), (Semantics::Quantity, Some((0, 1_000_000))));
        assert_eq!(registry.element(4242, 2).unwrap().length, 8);
        assert_eq!(registry.element(4711, 1).unwrap().length, VARIABLE);
    }

    #[test]
    fn all_mistakes_are_told_and_nothing_is_added() {
        let csv = "pen,id,name,type,length,semantics,units,range\n\
                   4242,1,good,unsigned32,,,,\n\
                   4242,2,short,unsigned32\n\
                   4242,3,typed,unsigned33,,,,\n\
                   4242,0,numbered,string,,,,\n\
                   4242,1,again,string,,,,\n\
                   4242,5,ranged,unsigned8,,,,9\n\
                   4242,6,,unsigned8,,,,\n";
        let mut registry = Registry::new();
        let error = registry.add_csv(csv).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3: 4 fields, not 8; line 4: type is \"unsigned33\"; \
             line 5: id is 0, but must be between 1 and 32767; \
             line 6: element is the same as on line 2; line 7: range is \"9\"; \
             line 8: name is 0 bytes long, but must be between 1 and 255",
        );
        assert_eq!(registry.added(), 0);
    }

    #[test]
    fn a_file_of_something_else_is_told_apart() {
        for csv in ["", "id,name\n", "\n"] {
            let error = Registry::new().add_csv(csv).unwrap_err();
            assert!(error.to_string().starts_with("line 1: first line is not"), "{error}");
        }
    }
}
