//! Colours for lines of the chat.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Paints notices cyan, errors red, actions magenta, and each name in its own colour.
pub(crate) fn paint(line: &str) -> String {
    let (colour, length) = match line.split_once([' ', ':']) {
        Some(("*", _)) => (36, line.len()),
        Some(("!", _)) => (31, line.len()),
        Some(("**", _)) => (35, line.len()),
        Some((name, _)) => {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            (92 + hasher.finish() % 5, name.len())
        }
        None => return line.into(),
    };
    let (painted, rest) = line.split_at(length);
    format!("\x1b[{colour}m{painted}\x1b[0m{rest}")
}
