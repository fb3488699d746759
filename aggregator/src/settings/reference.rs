//! The shipped file and the reference page, made from the tables of keys.

use config::Key;
use config::reference::{line, row, shown_default};
use config::write::{self, Line};

use super::keys::{FILE, Reload, SECTIONS, Section};
use super::{click_house, flow_logger, s3};

/// What is made, each with its path in the repository.
pub fn files() -> [(&'static str, String); 2] {
    [("config/flow-aggregator.conf", file()), ("docs/config-flow-aggregator.md", page())]
}

fn file() -> String {
    let head = "\
# Settings of Fyke's flow-aggregator, for --config. Keys are those of Antrea's Flow Aggregator,\n\
# and a few more; each is shown with its default. \"\" and null mean that it is not set. The command\n\
# line and the environment win over this file.\n\n";
    let lines = SECTIONS.iter().flat_map(|section| lines(section));
    head.to_owned() + &write::file(&lines.collect::<Vec<_>>())
}

fn lines(section: &Section) -> impl Iterator<Item = Line> {
    let shown = |key: &Key, is_ours: bool| {
        let mut line = line(key, FILE)?;
        let flag = key.flag.map(|flag| format!("--{flag}"));
        let variable = key.variable.map(|name| format!("environment {name}"));
        let also: Vec<_> = [flag, variable].into_iter().flatten().collect();
        if !also.is_empty() {
            line.above.push(format!("Also: {}.", also.join(", ")));
        }
        if is_ours {
            line.above.push("Fyke's own.".to_owned());
        }
        Some(line)
    };
    let antrea = section.antrea.iter().filter_map(move |key| shown(key, false));
    antrea.chain(section.ours.iter().filter_map(move |key| shown(key, true)))
}

fn page() -> String {
    let mut page = String::from(
        "# Configuration of flow-aggregator\n\n\
        This page is made from `aggregator/src/settings/`.\n\n\
        A value comes from the first of these that gives one: the command line, the environment, \
        `flow-aggregator.conf` (`--config`), the default. Empty text and `null` give none. Antrea's \
        file can be used as it is; keys marked \u{201c}own\u{201d} are not Antrea's, and its Flow \
        Aggregator would pass them over.\n\n\
        - `--check-config` tells every mistake with file, line and column, and ends with 1 if there is one. It does not open the files that the configuration names.\n\
        - `--print-config` shows the values in force and who gave each; what it prints can be used as `flow-aggregator.conf`. Passwords and the like are shown as `***`.\n\
        - An unknown key is a warning, with the nearest one there is, and fails only the check. What is wrong with an output that is off is a warning too.\n\
        - Without `--config` there is what the command line says: IPFIX over TCP, gRPC only where `--grpc-listen` says, and no certificates unless they are given.\n\
        - A value is true if it says `true`, `yes`, `on` or `y`, and false if it says `false`, `no`, `off` or `n`.\n\
        - Durations are Go's: numbers with `ns`, `us`, `ms`, `s`, `m` or `h`, such as `1m30s`.\n\n\
        The file is compared every 5 s with what was read of it, and at once on SIGHUP; a `ConfigMap` that is mounted as a directory is followed. \
        Where a section says *taken over*, a change reaches exactly the outputs it is about, and what waits for them is kept. \
        Everything else is named in a warning and waits for the next start. A file with mistakes changes nothing: the log, \
        `fyke_aggregator_reloads_refused_total` and `/healthz` say so.\n",
    );
    for section in SECTIONS {
        let reload = match section.reload {
            Reload::Live => "Changes are taken over.",
            Reload::Restart => "Changes wait for the next start.",
        };
        page.extend(["\n## ", section.title, "\n\n", reload, "\n\n"]);
        page += "| Key | Value | Default | Also | Meaning |\n|---|---|---|---|---|\n";
        for key in section.keys() {
            let own = section.ours.iter().any(|own| std::ptr::eq(*own, key));
            key_row(&mut page, key, own);
        }
    }
    page += "\n## A filter\n\nWhat each section in the list `flowLogger.filters` may have.\n\n";
    page += "| Key | Value | Default | Also | Meaning |\n|---|---|---|---|---|\n";
    for key in flow_logger::FILTER_KEYS {
        key_row(&mut page, key, false);
    }
    page += "\n## Environment\n\nWhat no file says.\n\n| Variable | Meaning |\n|---|---|\n";
    for key in [
        &click_house::USERNAME,
        &click_house::PASSWORD,
        &s3::KEY_ID,
        &s3::SECRET_KEY,
        &s3::TOKEN,
        &s3::REGION_AROUND,
    ] {
        row(&mut page, &[&format!("`{}`", key.name()), key.doc]);
    }
    page
}

fn key_row(page: &mut String, key: &Key, is_own: bool) {
    let path = key.current_name(FILE).unwrap_or_default();
    let own = is_own.then(|| "own".to_owned());
    let flag = key.flag.map(|flag| format!("`--{flag}`"));
    let variable = key.variable.map(|name| format!("`{name}`"));
    let also: Vec<_> = [own, flag, variable].into_iter().flatten().collect();
    let default = shown_default(key);
    row(page, &[&format!("`{path}`"), key.form, &default, &also.join(", "), key.doc]);
}

#[cfg(test)]
mod tests {
    use config::reference::is_committed;

    use super::*;

    #[test]
    fn what_is_committed_is_what_the_tables_say() {
        for (path, content) in files() {
            let is_so = is_committed(path, &content);
            assert!(is_so, "{path} is stale; run `cargo xtask generate`");
        }
    }
}
