//! Status lines: what the program itself has to say, on stderr.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line of status to stderr.
pub fn status(line: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{line}");
}
