//! The tables in docs/measurements.md, which are generated from the figures beside it.

use std::fs;

use anyhow::Context;

use crate::report::{self, Table};

const BEGIN: &str = "<!-- bench:";
const END: &str = "<!-- end -->";

/// Writes the tables into the page.
pub(crate) fn update() -> anyhow::Result<()> {
    let page = report::folder().with_extension("md");
    let text = fs::read_to_string(&page)?;
    Ok(fs::write(page, render(&text)?)?)
}

/// Replaces all between `<!-- bench:NAME -->` and `<!-- end -->` with the table NAME and its plot.
fn render(text: &str) -> anyhow::Result<String> {
    let mut rendered = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        rendered += &format!("{line}\n");
        let name = line.strip_prefix(BEGIN);
        if let Some(name) = name.and_then(|name| name.strip_suffix(" -->")) {
            rendered += &block(name).with_context(|| format!("the table {name}"))?;
            let end = lines.find(|line| *line == END);
            rendered += &format!("{}\n", end.context("a table without an end")?);
        }
    }
    Ok(rendered)
}

fn block(name: &str) -> anyhow::Result<String> {
    let json = fs::read_to_string(report::folder().join(name).with_extension("json"))?;
    let table: Table = serde_json::from_str(&json)?;
    let plot = format!("![{}](measurements/{name}.svg)", table.caption);
    Ok(format!("{plot}\n\n{}", table.markdown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_page_show_the_stored_figures() {
        let text = fs::read_to_string(report::folder().with_extension("md")).unwrap();
        assert!(text.contains(BEGIN));
        let rendered = render(&text).unwrap();
        assert!(text == rendered, "cargo run --release -p bench -- docs");
    }
}
