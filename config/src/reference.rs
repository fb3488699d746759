//! Shipped files and reference pages, made from tables of keys.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use crate::Key;
use crate::write::{Line, text, wrap};

/// Characters in a line of comments.
const WIDTH: usize = 94;

/// A key with its default and what it means, as a shipped file has it. `None` if `file` has no
/// such key.
pub fn line(key: &Key, file: &str) -> Option<Line> {
    let path = key.current_name(file)?;
    let above = wrap(key.doc, WIDTH - 2 * path.matches('.').count());
    Some(Line { path, above, value: default(key), is_off: false, behind: None })
}

fn default(key: &Key) -> String {
    match (key.default, key.form) {
        ("", form) if form.starts_with("a list") => "null".to_owned(),
        (default, form) if is_text(form) => text(default),
        (default, _) => default.to_owned(),
    }
}

/// Forms whose values may hold anything, so that they are quoted.
fn is_text(form: &str) -> bool {
    form.starts_with("a path")
        || form.starts_with("the name")
        || form.starts_with("a name")
        || form.starts_with("a text")
        || form.contains("PORT")
}

/// A key's default as a page shows it; nothing if there is none.
pub fn shown_default(key: &Key) -> String {
    match key.default {
        "" => String::new(),
        default => format!("`{default}`"),
    }
}

/// Adds one row to a table of Markdown.
pub fn row(page: &mut String, cells: &[&str]) {
    // Writing into a text cannot fail.
    writeln!(page, "| {} |", cells.join(" | ")).ok();
}

/// Whether the file at `path` of the repository is `content`; for tests of what is made from code.
/// Where `FYKE_GENERATE` is set, which `cargo xtask generate` does, it is made so first.
pub fn is_committed(path: &str, content: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    // What cannot be written is found stale below.
    if env::var_os("FYKE_GENERATE").is_some() {
        fs::write(&path, content).ok();
    }
    fs::read_to_string(&path).is_ok_and(|committed| committed == content)
}
