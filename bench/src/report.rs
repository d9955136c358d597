//! Tables, as text, as JSON and as a plot.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, anyhow};
use plotters::prelude::*;
use serde::Serialize;

/// Where figures are kept.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/measurements"))
}

/// What one command has measured.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Also the name of its files.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What measures it again.
    pub(crate) command: String,
    pub(crate) machine: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// One for each column; none where the system does not tell.
    pub(crate) values: Vec<Option<f64>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(
        name: &'static str,
        title: impl Into<String>,
        command: impl Into<String>,
        columns: &[&'static str],
    ) -> Self {
        Self {
            name,
            title: title.into(),
            command: command.into(),
            machine: machine(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, label: impl Into<String>, values: &[Option<f64>]) {
        self.rows.push(Row { label: label.into(), values: values.to_vec() });
    }

    /// Prints it.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "\n{}", self.title)?;
        let labels = self.rows.iter().map(|row| row.label.len());
        let first = labels.max().unwrap_or_default();
        write!(out, "{:first$}", "")?;
        for column in &self.columns {
            write!(out, "  {column:>10}")?;
        }
        writeln!(out)?;
        for row in &self.rows {
            write!(out, "{:first$}", row.label)?;
            for (value, column) in row.values.iter().zip(&self.columns) {
                let width = column.len().max(10);
                write!(out, "  {:>width$}", figure(*value))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Writes the raw figures, and a plot of the column `plotted`.
    pub(crate) fn save(&self, plotted: usize) -> anyhow::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        fs::write(folder.join(self.name).with_extension("json"), json)?;
        self.plot(plotted)
    }

    fn plot(&self, column: usize) -> anyhow::Result<()> {
        let path = folder().join(self.name).with_extension("svg");
        let bars: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| Some((row.label.as_str(), row.values[column]?)))
            .collect();
        let most = bars.iter().map(|bar| bar.1).fold(f64::MIN_POSITIVE, f64::max);
        let height = 60 + 24 * bars.len() as u32;
        let area = SVGBackend::new(&path, (760, height)).into_drawing_area();
        let gray = RGBColor(0x80, 0x88, 0x90);
        let text = ("sans-serif", 14).into_font().color(&gray);
        let plot = || -> Result<(), DrawingAreaErrorKind<_>> {
            let title = format!("{}: {}", self.title, self.columns[column]);
            area.draw(&Text::new(title, (10, 10), text.clone()))?;
            for (n, (label, value)) in bars.iter().enumerate() {
                let y = 40 + 24 * n as i32;
                // A bar that cannot be seen would not be one.
                let width = (value / most * 360.0).max(1.0) as i32;
                let bar = [(280, y), (280 + width, y + 16)];
                let blue = RGBColor(0x21, 0x8b, 0xff).filled();
                area.draw(&Text::new(label.to_string(), (10, y), text.clone()))?;
                area.draw(&Rectangle::new(bar, blue))?;
                let figure = figure(Some(*value));
                area.draw(&Text::new(figure, (288 + width, y), text.clone()))?;
            }
            area.present()
        };
        plot().map_err(|error| anyhow!("{error}")).context("a plot")
    }
}

/// Three digits that mean something.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(0.0) => "0".into(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) if value.abs() >= 0.01 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// Cores and kernel, and nothing that tells whose they are.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    format!("{cores} cores, {} {version}", std::env::consts::OS)
}
