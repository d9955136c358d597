//! How many lines of two steps are the same: the longest common subsequence of each pair of files.

use std::path::Path;
use std::{fs, io};

/// How alike two files are.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The name of both.
    pub file: String,
    /// Lines of both together.
    pub lines: usize,
    /// Lines of both together that stand in the other, in the same order.
    pub same: usize,
}

impl Pair {
    /// The share of lines that are the same, in percent, rounded down.
    pub fn percent(&self) -> usize {
        100 * self.same / self.lines.max(1)
    }
}

/// Compares the sources of two steps, file by file; the last pair is the total.
///
/// # Errors
///
/// A folder or file that cannot be read.
pub fn compare(one: &Path, other: &Path) -> io::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir(one.join("src"))? {
        let name = entry?.file_name();
        let one = fs::read_to_string(one.join("src").join(&name))?;
        let other = fs::read_to_string(other.join("src").join(&name))?;
        let (one, other): (Vec<_>, Vec<_>) = (one.lines().collect(), other.lines().collect());
        pairs.push(Pair {
            file: name.to_string_lossy().into_owned(),
            lines: one.len() + other.len(),
            same: 2 * common(&one, &other),
        });
    }
    pairs.sort_by(|a, b| a.file.cmp(&b.file));
    pairs.push(Pair {
        file: "all".into(),
        lines: pairs.iter().map(|pair| pair.lines).sum(),
        same: pairs.iter().map(|pair| pair.same).sum(),
    });
    Ok(pairs)
}

fn common(one: &[&str], other: &[&str]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for line in one {
        let mut before = 0;
        for (at, candidate) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = match line == candidate {
                true => before + 1,
                false => above.max(row[at]),
            };
            before = above;
        }
    }
    row[other.len()]
}
