//! Reference pages of metrics, made from what is registered.

use std::fmt::Write as _;

/// A table in Markdown of all metrics in a text of `OpenMetrics`. A label whose values are all
/// `NAME` or `REASON` is shown without them: it has others in real life.
pub fn table(text: &str) -> String {
    let mut page = "| Name | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    let mut lines: Vec<_> = text.split("# HELP ").skip(1).filter_map(row).collect();
    lines.sort();
    lines.dedup();
    page.extend(lines);
    page
}

/// One metric, from its help on.
fn row(text: &str) -> Option<String> {
    let (head, rest) = text.split_once('\n')?;
    let (name, help) = head.split_once(' ')?;
    let kind = rest.lines().next()?.rsplit(' ').next()?;
    let samples = rest.lines().filter(|line| line.starts_with(name));
    let labels: Vec<_> =
        samples.filter_map(|it| Some(it.split_once('{')?.1.rsplit_once('}')?.0)).collect();
    let pairs = labels.iter().flat_map(|it| it.split(',')).filter_map(|it| it.split_once('='));
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for (label, value) in pairs {
        let value = value.trim_matches('"');
        match told.iter_mut().find(|(known, _)| *known == label) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => told.push((label, vec![value])),
        }
    }
    for (_, values) in &mut told {
        values.sort_unstable();
    }
    let shown = told.iter().filter(|(label, _)| *label != "le").map(|(label, values)| {
        let is_open = matches!(values[..], ["NAME" | "REASON"]);
        if is_open { format!("`{label}`") } else { format!("`{label}`: {}", values.join(", ")) }
    });
    let shown = shown.collect::<Vec<_>>().join("; ");
    let help = help.trim_end_matches('.');
    let mut line = String::new();
    // Writing into a text cannot fail.
    writeln!(line, "| `{name}` | {kind} | {shown} | {help} |").ok();
    Some(line)
}
