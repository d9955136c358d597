//! The share of lines that two steps have in common: the longest common subsequence of each pair of
//! files.

use std::path::Path;
use std::{fs, io};

/// The similarity of two files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The name of both files.
    pub file: String,
    /// The number of lines in both files.
    pub lines: usize,
    /// The number of lines, of those, that the other file also has in the same order.
    pub same: usize,
}

impl Pair {
    /// The share of lines that are the same, in percent, rounded down.
    pub fn percent(&self) -> usize {
        100 * self.same / self.lines.max(1)
    }

    /// The number of lines that only one of the files has, as `git diff --stat` counts them.
    pub fn changed(&self) -> usize {
        self.lines - self.same
    }
}

/// Compares the source files that two steps have in common. The last pair is the total.
///
/// # Errors
///
/// A folder or file that cannot be read.
pub fn compare(one: &Path, other: &Path) -> io::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir(one.join("src"))? {
        let name = entry?.file_name();
        let one = fs::read_to_string(one.join("src").join(&name))?;
        let other = other.join("src").join(&name);
        if !other.exists() {
            continue;
        }
        let other = fs::read_to_string(other)?;
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
    // One row of the table of the longest common subsequence.
    let mut row = vec![0; other.len() + 1];
    for line in one {
        let mut before = 0;
        for (at, candidate) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if line == candidate { before + 1 } else { above.max(row[at]) };
            before = above;
        }
    }
    row[other.len()]
}
