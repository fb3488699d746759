//! The configuration in force, written so that `--config` can read it.

use std::path::PathBuf;
use std::time::Duration;

use config::write::{self, Line, text};
use config::{Key, Origin, Secret, Setting, duration};

use super::Settings;
use super::keys::FILE;

impl Settings {
    /// Every key with its value, and who gave it.
    pub fn to_yaml(&self) -> String {
        let lines = self.sections().into_iter().flat_map(|(_, lines)| lines);
        write::file(&lines.collect::<Vec<_>>())
    }
}

pub(super) fn line<T>(key: &Key, setting: &Setting<T>, value: impl Fn(&T) -> String) -> Line {
    write::setting(FILE, key, setting, value)
}

/// A number, or whether something is so.
pub(super) fn number<T: ToString>(key: &Key, setting: &Setting<T>) -> Line {
    line(key, setting, T::to_string)
}

pub(super) fn time(key: &Key, setting: &Setting<Duration>) -> Line {
    line(key, setting, |it| duration::format(*it))
}

/// A text, or what is written as one.
pub(super) fn quoted<T: ToString>(key: &Key, setting: &Setting<T>) -> Line {
    line(key, setting, |it| text(&it.to_string()))
}

pub(super) fn maybe<T: ToString>(key: &Key, setting: &Setting<Option<T>>) -> Line {
    line(key, setting, |it| text(&it.as_ref().map(T::to_string).unwrap_or_default()))
}

pub(super) fn maybe_path(key: &Key, setting: &Setting<Option<PathBuf>>) -> Line {
    let shown = |path: &PathBuf| text(&path.to_string_lossy());
    line(key, setting, |it| it.as_ref().map_or(text(""), shown))
}

/// Each in quotes.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| text(&item.to_string())).collect();
    if items.is_empty() { "null".to_owned() } else { format!("[{}]", items.join(", ")) }
}

/// What only the environment tells, as a comment.
pub(super) fn secret(path: &'static str, setting: &Setting<Option<Secret>>) -> Line {
    let origin = match &setting.origin {
        Origin::Default => "not set".to_owned(),
        origin => origin.to_string(),
    };
    let value = setting.value.as_ref().map(Secret::to_string).unwrap_or_default();
    Line { path, above: Vec::new(), value: text(&value), is_off: true, behind: Some(origin) }
}
