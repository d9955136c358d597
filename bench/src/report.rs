//! Tables: as Markdown, as JSON and as a plot.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The folder of the figures.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/measurements"))
}

/// What one command has measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Also the name of its files.
    pub(crate) name: String,
    pub(crate) caption: String,
    /// The command that measures it again.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// The heading of the labels.
    pub(crate) heading: String,
    /// The headings of the values, each with its unit.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) plot: Plot,
}

/// One row of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// One for each column; none where there is nothing to measure.
    pub(crate) values: Vec<Option<f64>>,
}

/// How a table is drawn.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Plot {
    /// The first column, a bar for each row.
    Bars,
    /// A line for each column, over labels that are numbers.
    Lines,
}

/// The machine that a table was measured on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
}

impl Table {
    /// A table without rows. The command line is added by `main`.
    pub(crate) fn new(name: &str, caption: impl Into<String>, heading: &str) -> Self {
        Self {
            name: name.into(),
            caption: caption.into(),
            command: String::new(),
            machine: Machine::this(),
            heading: heading.into(),
            columns: Vec::new(),
            rows: Vec::new(),
            plot: Plot::Bars,
        }
    }

    /// Sets the headings of the values.
    pub(crate) fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = columns.into_iter().map(S::into).collect();
        self
    }

    /// Adds a row. What is not a number was not measured.
    pub(crate) fn push(&mut self, label: impl Into<String>, values: &[f64]) {
        let number = |value: &f64| value.is_finite().then_some(*value);
        self.rows.push(Row { label: label.into(), values: values.iter().map(number).collect() });
    }

    /// The table as Markdown, with its caption, command and machine.
    pub(crate) fn markdown(&self) -> String {
        let head = std::iter::once(self.heading.clone()).chain(self.columns.iter().cloned());
        let mut rows = vec![head.collect::<Vec<_>>()];
        for Row { label, values } in &self.rows {
            let values = values.iter().map(|value| figure(*value));
            rows.push(std::iter::once(label.clone()).chain(values).collect());
        }
        let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max();
        let widths: Vec<_> = (0..rows[0].len()).filter_map(width).collect();
        let mut text = String::new();
        for (at, row) in rows.iter().enumerate() {
            for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
                text += &match n {
                    0 => format!("| {cell:width$} |"),
                    _ => format!(" {cell:>width$} |"),
                };
            }
            text += "\n";
            if at == 0 {
                let rule = |width: &usize| format!("{}:|", "-".repeat(width + 1));
                text += &format!("|{}|", "-".repeat(widths[0] + 2));
                text.extend(widths[1..].iter().map(rule));
                text += "\n";
            }
        }
        let Machine { cores, cpu, kernel } = &self.machine;
        let Self { caption, command, .. } = self;
        format!("{text}\n{caption}. `{command}`, on {cores} cores ({cpu}), {kernel}.\n")
    }

    /// Writes the figures, from which the docs are made.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        Ok(fs::write(folder.join(&self.name).with_extension("json"), json)?)
    }

    /// Reads the figures called `name`.
    pub(crate) fn load(name: &str) -> anyhow::Result<Self> {
        let json = fs::read_to_string(folder().join(name).with_extension("json"))?;
        Ok(serde_json::from_str(&json)?)
    }
}

impl Machine {
    /// Cores, CPU model and kernel version of this machine.
    fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find(|line| line.starts_with("model name"));
        let cpu = model.and_then(|line| line.split_once(": "));
        let release = read("/proc/sys/kernel/osrelease");
        // The rest of a release names the builder's machine.
        let version = release.split(|c: char| !c.is_ascii_digit() && c != '.');
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu.map_or("unknown CPU", |(_, cpu)| cpu.trim()).into(),
            kernel: format!(
                "{} {}",
                std::env::consts::OS,
                version.into_iter().next().unwrap_or_default()
            ),
        }
    }
}

/// Three significant digits.
pub(crate) fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(0.0) => "0".into(),
        Some(value) if value.fract() == 0.0 || value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) if value.abs() >= 0.01 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}
