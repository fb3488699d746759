//! Regular expressions that mean the same here and in RE2, with which ClickHouse matches.
//!
//! What only one of the two has is refused: look-around and back-references (neither), Unicode
//! classes (their tables differ by version), operations on classes, nested classes, `\B`, `\<`,
//! `\u`, named groups, the flags `R`, `u` and `x`, repetition of a repetition, and more than 1,000
//! repetitions (<https://github.com/google/re2/wiki/Syntax>). `\d`, `\s`, `\w` and `\b` are about
//! ASCII, as in RE2; `.` matches line breaks too, as in ClickHouse's `match`, unless `(?-s)` says
//! otherwise.

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem, Flag,
    GroupKind, HexLiteralKind, Literal, LiteralKind, RepetitionKind, RepetitionRange, Span,
};

/// Longest pattern, in bytes.
const MAX_LENGTH: usize = 1024;
/// What a compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;
/// RE2's own limit, also for the product of nested repetitions.
const MAX_REPETITIONS: u32 = 1000;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatternError {
    pub reason: String,
    /// Where in the pattern, in bytes: from, and up to but without.
    pub start: usize,
    pub end: usize,
}

impl PatternError {
    fn new(span: &Span, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), start: span.start.offset, end: span.end.offset }
    }
}

/// A regular expression, found anywhere in a text.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    compiled: Regex,
}

impl Pattern {
    pub fn new(source: &str) -> Result<Self, PatternError> {
        let whole =
            |reason: &str| PatternError { reason: reason.to_owned(), start: 0, end: source.len() };
        if source.len() > MAX_LENGTH {
            return Err(whole("longer than 1024 bytes"));
        }
        let parsed = ast::parse::Parser::new()
            .parse(source)
            .map_err(|error| PatternError::new(error.span(), error.kind().to_string()))?;
        let subset = ast::visit(&parsed, Subset::default())?;
        let compiled = RegexBuilder::new(&spelled_out(source, subset.replacements))
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED)
            .build()
            .map_err(|error| whole(&error.to_string()))?;
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub fn holds(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

/// Puts what RE2 means in the place of what Rust would understand otherwise.
fn spelled_out(source: &str, mut replacements: Vec<(Span, &'static str)>) -> String {
    replacements.sort_by_key(|(span, _)| span.start.offset);
    let mut text = String::with_capacity(source.len());
    let mut copied = 0;
    for (span, replacement) in replacements {
        text.push_str(&source[copied..span.start.offset]);
        text.push_str(replacement);
        copied = span.end.offset;
    }
    text.push_str(&source[copied..]);
    text
}

/// Looks for what is not common to both, and for what is written alike and means different things.
#[derive(Default)]
struct Subset {
    replacements: Vec<(Span, &'static str)>,
    /// The products of the repetitions around the current place.
    repetitions: Vec<u32>,
}

impl Subset {
    fn perl(&mut self, class: &ClassPerl) {
        let replacement = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.replacements.push((class.span, replacement));
    }

    fn repetition(&mut self, repetition: &ast::Repetition) -> Result<(), PatternError> {
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return Err(PatternError::new(
                &repetition.span,
                "a repetition of a repetition; put the inner one into parentheses",
            ));
        }
        let times = match &repetition.op.kind {
            RepetitionKind::Range(
                RepetitionRange::Exactly(n)
                | RepetitionRange::AtLeast(n)
                | RepetitionRange::Bounded(_, n),
            ) => *n,
            _ => 1,
        };
        let around = self.repetitions.last().copied().unwrap_or(1);
        let product = around.saturating_mul(times.max(1));
        if product > MAX_REPETITIONS {
            return Err(PatternError::new(&repetition.op.span, "more than 1000 repetitions"));
        }
        self.repetitions.push(product);
        Ok(())
    }
}

fn literal(literal: &Literal) -> Result<(), PatternError> {
    let is_rusts_own = matches!(
        literal.kind,
        LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
    );
    let reason = if is_rusts_own {
        r"\u and \U; write \x{…}"
    } else if literal.c == '\0' {
        "the character NUL"
    } else {
        return Ok(());
    };
    Err(PatternError::new(&literal.span, reason))
}

fn flags(flags: &ast::Flags) -> Result<(), PatternError> {
    for item in &flags.items {
        if let ast::FlagsItemKind::Flag(Flag::CRLF | Flag::Unicode | Flag::IgnoreWhitespace) =
            item.kind
        {
            return Err(PatternError::new(&item.span, "a flag other than i, m, s and U"));
        }
    }
    Ok(())
}

impl ast::Visitor for Subset {
    type Output = Self;
    type Err = PatternError;

    fn finish(self) -> Result<Self, PatternError> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), PatternError> {
        match ast {
            Ast::Literal(it) => literal(it)?,
            Ast::Flags(it) => flags(&it.flags)?,
            Ast::ClassPerl(it) => self.perl(it),
            Ast::ClassUnicode(it) => {
                return Err(PatternError::new(&it.span, "a Unicode class"));
            }
            Ast::Repetition(it) => self.repetition(it)?,
            Ast::Group(group) => match &group.kind {
                GroupKind::CaptureName { .. } => {
                    return Err(PatternError::new(&group.span, "a named group"));
                }
                GroupKind::NonCapturing(it) => flags(it)?,
                GroupKind::CaptureIndex(_) => {}
            },
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => {}
                AssertionKind::WordBoundary => {
                    self.replacements.push((assertion.span, r"(?-u:\b)"));
                }
                _ => {
                    return Err(PatternError::new(
                        &assertion.span,
                        r"an assertion other than ^, $, \A, \z and \b",
                    ));
                }
            },
            Ast::Empty(_)
            | Ast::Dot(_)
            | Ast::ClassBracketed(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => {}
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), PatternError> {
        if matches!(ast, Ast::Repetition(_)) {
            self.repetitions.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), PatternError> {
        match item {
            ClassSetItem::Literal(it) => literal(it)?,
            ClassSetItem::Range(range) => {
                literal(&range.start)?;
                literal(&range.end)?;
            }
            ClassSetItem::Perl(it) => self.perl(it),
            ClassSetItem::Unicode(it) => {
                return Err(PatternError::new(&it.span, "a Unicode class"));
            }
            ClassSetItem::Bracketed(it) => {
                return Err(PatternError::new(&it.span, "a class in a class"));
            }
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(
        &mut self,
        operation: &ClassSetBinaryOp,
    ) -> Result<(), PatternError> {
        Err(PatternError::new(&operation.span, "an operation on classes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers are RE2's.
    #[test]
    fn a_pattern_means_what_it_means_to_re2() {
        for (pattern, text, expected) in [
            ("eb", "web-0", true),
            ("^eb", "web-0", false),
            ("(?i)WEB", "web-0", true),
            ("a.c", "a\nc", true),
            ("(?-s)a.c", "a\nc", false),
            (r"^\d+$", "12", true),
            (r"^\d+$", "१२", false),
            (r"^\w+$", "bär", false),
            (r"^[\w-]+$", "web-0", true),
            (r"^[^\d]+$", "web", true),
            (r"^\D$", "१", true),
            (r"\s", "\u{b}", false),
            (r"\s", "\u{a0}", false),
            (r"\bb", "äb", true),
            ("^a$", "a\n", false),
            ("(?m)^b$", "a\nb", true),
            ("[[:alpha:]]+", "1a", true),
            ("x{0,3}y", "xxy", true),
            (r"\x{e4}", "ä", true),
            ("", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().holds(text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn what_only_one_of_the_two_has_is_refused_with_its_place() {
        for (pattern, place) in [
            ("a(?=b)", 1..4),
            (r"(a)\1", 3..5),
            (r"a\pL", 1..4),
            (r"[\p{Greek}]", 1..10),
            ("a[b[c]]", 3..6),
            ("[a&&b]", 1..5),
            (r"\B", 0..2),
            (r"\<a", 0..2),
            (r"\u0041", 0..6),
            ("(?P<x>a)", 0..8),
            ("(?x)a", 2..3),
            ("(?u:a)", 2..3),
            ("a**", 0..3),
            ("a{1001}", 1..7),
            ("(a{100}){11}", 2..7),
            ("(", 0..1),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert_eq!(error.start..error.end, place, "{pattern}: {error}");
        }
        assert!(Pattern::new(&"a".repeat(1025)).is_err());
    }
}
