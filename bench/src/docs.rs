//! The tables and plots of docs/measurements.md, which are generated from the stored figures.

use std::fs;

use anyhow::Context;

use crate::plot;
use crate::report::{self, Table};

const BEGIN: &str = "<!-- bench:";
const END: &str = "<!-- end -->";

/// Draws the plots and writes the tables into the page.
pub(crate) fn update() -> anyhow::Result<()> {
    let page = report::folder().with_extension("md");
    let text = fs::read_to_string(&page)?;
    Ok(fs::write(page, render(&text, plot::draw)?)?)
}

/// Replaces all between `<!-- bench:NAME -->` and `<!-- end -->` with the table NAME and its plot,
/// and calls `visit` with each table.
fn render(text: &str, visit: impl Fn(&Table) -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut rendered = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        rendered += &format!("{line}\n");
        let name = line.strip_prefix(BEGIN);
        if let Some(name) = name.and_then(|name| name.strip_suffix(" -->")) {
            let table = Table::load(name).with_context(|| format!("the table {name}"))?;
            visit(&table)?;
            let plot = format!("![{}](measurements/{name}.svg)", table.caption);
            rendered += &format!("{plot}\n\n{}", table.markdown());
            let end = lines.find(|line| *line == END);
            rendered += &format!("{}\n", end.context("a table without an end")?);
        }
    }
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_page_show_the_stored_figures() {
        let text = fs::read_to_string(report::folder().with_extension("md")).unwrap();
        assert!(text.contains(BEGIN));
        let rendered = render(&text, |_| Ok(())).unwrap();
        assert!(text == rendered, "cargo run --release -p bench -- docs");
    }
}
