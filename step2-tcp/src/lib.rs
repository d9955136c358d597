//! Step 2: the peer becomes another process, and the channel between them a TCP connection.
//!
//! ```text
//! stdin → writer ─┐             ┌─ reader → stdout
//!                 ├─ TCP ─ TCP ─┤
//! stdout ← reader ┘             └─ writer ← stdin
//! ```
//!
//! Each side has a reader and a writer, and each of them is blocked on its own I/O: the reader in a
//! read of the socket, the writer in a read of the console. So when one of them ends, the other
//! does not know. When the connection ends, the writer still waits for Enter, which is easy: the
//! program ends when its reader does, and takes the writer with it. When somebody types `/exit`,
//! the writer knows and the reader does not, which is the story of this step. None of the obvious
//! ways wakes the reader:
//!
//! - *Dropping the writer's clone of the stream* closes nothing. Both clones are one socket, which
//!   stays open until the last of them is gone, and the other one sits in the blocked reader.
//! - *`shutdown(Write)`* tells the other side that nothing more will come. Our own reader goes on
//!   waiting for a side that may have plenty left to say.
//! - *`read_line` with a timeout* looks like the way out and loses data: the timeout may strike in
//!   the middle of a character, and then `read_line` throws away what it had read of the line.
//!
//! So the writer sends the reader a message, over a channel, and the reader has a read timeout that
//! lets it look there ten times a second. `WouldBlock` (on Windows `TimedOut`) then means "go
//! and look", never "the connection broke": it must not go up through `?` with the errors that do.
//! A read of 0 bytes is no error either, but the end of what the other side had to say. Bytes
//! go through [`common::LineDecoder`], which keeps half a line for as long as it takes.
//!
//! Only a message means "leave". A channel that merely closed means that the writer is done, since
//! stdin ended: the connection is half closed, and the reader reads on.

use std::fmt::Display;
use std::io::{self, Write};

pub mod client;
pub mod server;

/// Writes a line of status to stderr.
pub fn log(status: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{status}");
}
