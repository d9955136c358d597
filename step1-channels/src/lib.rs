//! Step 1: two threads in one process, joined by two bounded channels.
//!
//! ```text
//! stdin → writer → channel → peer → channel → reader → stdout
//! ```
//!
//! Ownership is the lesson. A line is owned by one thread at a time and moves through a channel to
//! the next. A sender is owned, too, and dropping the last one is the only shutdown signal there
//! is: the writer drops its sender at `/exit` or at the end of input, the peer's loop ends because
//! that channel closed, which drops the peer's sender, and the reader's loop ends in turn. There is
//! no flag to set and none to forget.
//!
//! A full channel holds its sender up: whoever is slow slows down the one before it, and memory
//! stays bounded.

use std::fmt::Display;
use std::io::{self, Write};

pub mod client;
pub mod peer;

/// Writes a line of status to stderr.
pub fn log(status: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{status}");
}
