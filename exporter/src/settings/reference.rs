//! The shipped files and the reference page, made from the table of keys.

use config::reference::{self, row};
use config::write::{self, Line};
use config::{Key, Status};

use super::destinations;
use super::keys::{AGENT, KEYS, OWN};

/// What is made, each with its path in the repository.
pub fn files() -> [(&'static str, String); 3] {
    [
        ("config/flow-exporter.conf", own_file()),
        ("config/antrea-agent.conf", agent_file()),
        ("docs/config-exporter.md", page()),
    ]
}

fn own_file() -> String {
    let head = "\
# Settings of Fyke's flow-exporter, for --config. Each is shown with its default; \"\" and null\n\
# mean that it is not set. The command line and the environment win over this file, and this file\n\
# over the Agent's (--agent-config): what the Agent's file has too is therefore turned off with #.\n\
# A key that is not listed here is refused.\n\n";
    head.to_owned() + &write::file(&lines(OWN))
}

fn agent_file() -> String {
    let head = "\
# What flow-exporter reads of the Antrea Agent's configuration (--agent-config), each key with its\n\
# default. Keys of other parts of the Agent are passed over.\n\n";
    head.to_owned() + &write::file(&lines(AGENT))
}

fn lines(file: &str) -> Vec<Line> {
    let line = |key: &&Key| {
        let mut line = reference::line(key, file)?;
        if file == OWN {
            line.above.extend(elsewhere(key));
        }
        // What stood here would win over the Agent's file.
        line.is_off = file == OWN && key.current_name(AGENT).is_some();
        Some(line)
    };
    KEYS.iter().filter_map(line).collect()
}

/// Where else the value may come from.
fn elsewhere(key: &Key) -> Option<String> {
    let flag = key.flag.map(|flag| format!("--{flag}"));
    let variable = key.variable.map(|name| format!("environment {name}"));
    let agent = key.current_name(AGENT).map(|path| format!("{path} of {AGENT}"));
    let places: Vec<_> = [flag, variable, agent].into_iter().flatten().collect();
    (!places.is_empty()).then(|| format!("Also: {}.", places.join(", ")))
}

fn page() -> String {
    let mut page = String::from(
        "# Configuration of flow-exporter\n\n\
        This page is made from `exporter/src/settings/keys.rs` and `exporter/src/settings/destinations/keys.rs`.\n\n\
        A value comes from the first of these that gives one: the command line, the environment, \
        `flow-exporter.conf` (`--config`), `antrea-agent.conf` (`--agent-config`), the default. \
        Empty text and `null` give none.\n\n\
        - `--check-config` tells every mistake with file, line and column, and ends with 1 if there is one. It does not open the files that the configuration names.\n\
        - `--print-config` shows the values in force and who gave each; what it prints can be used as `flow-exporter.conf`.\n\
        - In `flow-exporter.conf` an unknown key is refused. In Antrea's file one in the section `flowExporter` is a warning, \
        and fails only the check; keys of other parts of the Agent are passed over.\n\
        - A value is true if it says `true`, `yes`, `on` or `y`, and false if it says `false`, `no`, `off` or `n`.\n\
        - Durations are Go's: numbers with `ns`, `us`, `ms`, `s`, `m` or `h`, such as `1m30s`.\n\n",
    );
    table(&mut page, &KEYS, OWN, "## flow-exporter.conf", |key| key.flag);
    let head = "## A destination\n\nWhat each section in the list `destinations` of `flow-exporter.conf` may have. \
        A connection is sent if it meets all criteria that are given.";
    table(&mut page, &destinations::KEYS, OWN, head, |_| None);
    table(&mut page, &KEYS, AGENT, "## antrea-agent.conf", |_| None);
    page.push_str("## Old and foreign names\n\nIn `antrea-agent.conf`, read with a note.\n\n| Key | Stands for | Whose |\n|---|---|---|\n");
    for key in KEYS {
        for name in key.names {
            let Status::Other(whose) = name.status else { continue };
            let current = key.current_name(AGENT);
            let current = current.map_or_else(|| key.doc.to_owned(), |path| format!("`{path}`"));
            row(&mut page, &[&format!("`{}`", name.path), &current, whose]);
        }
    }
    page
}

fn table(
    page: &mut String,
    keys: &[&Key],
    file: &str,
    head: &str,
    flag: impl Fn(&Key) -> Option<&'static str>,
) {
    page.push_str(head);
    page.push_str("\n\n| Key | Value | Default | Also | Meaning |\n|---|---|---|---|---|\n");
    for key in keys {
        let Some(path) = key.current_name(file) else { continue };
        let default = reference::shown_default(key);
        let flag = flag(key).map(|flag| format!("`--{flag}`"));
        let variable = key.variable.map(|name| format!("`{name}`"));
        let also: Vec<_> = [flag, variable].into_iter().flatten().collect();
        row(page, &[&format!("`{path}`"), key.form, &default, &also.join(", "), key.doc]);
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_what_the_table_says() {
        for (path, content) in files() {
            let is_so = reference::is_committed(path, &content);
            assert!(is_so, "{path} is stale; run `cargo xtask generate`");
        }
    }
}
