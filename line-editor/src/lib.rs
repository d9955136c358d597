//! A line editor for the chat client: a draft at the bottom of the terminal, the chat above it.
//!
//! This crate supports the client; it is not part of a lesson. [`Terminal::open`] gives a
//! [`Console`], three channels like those of a client that reads plain lines. So the client does
//! not know whether its lines come from an editor or from a pipe.
//!
//! ```text
//!           editor thread                    tasks               client
//! keyboard ── key handlers ── outbox ── forward ── Console::typed ──▶ writer
//! screen ◀─── prompt ◀── printer thread ◀───────── Console::output ── reader
//!                            give_up ───────────── Console::printed ──▶ run
//! ```
//!
//! No key handler waits. `enter` tries to put the draft into the outbox, and a draft that does not
//! fit stays in the editor. Ctrl-C does not queue behind lines: it drops the outbox, and from then
//! on the client has one second to end.
//!
//! Reading order: `terminal`, `editor`, `state`, `outbox`, `printer`, then `history`,
//! `completions`, `colours`.

use std::io;
use std::sync::Arc;

use common::LineError;
use tokio::sync::mpsc::{Receiver, Sender};

#[cfg(unix)]
mod colours;
#[cfg(unix)]
mod completions;
#[cfg(unix)]
mod editor;
#[cfg(unix)]
mod history;
#[cfg(unix)]
mod outbox;
#[cfg(unix)]
mod printer;
#[cfg(unix)]
mod state;
#[cfg(unix)]
mod terminal;
#[cfg(not(unix))]
#[path = "no_terminal.rs"]
mod terminal;

pub use terminal::Terminal;

/// The client's channels to the editor.
#[derive(Debug)]
pub struct Console {
    /// Lines to send to the server. The last one is `/exit`, after Ctrl-C, after Ctrl-D, or when
    /// the terminal is gone; then the channel closes.
    pub typed: Receiver<Result<String, LineError>>,
    /// Text to show above the draft, line ends included. Drop every sender to have the rest shown.
    pub output: Sender<Arc<str>>,
    /// The result, sent once. `Ok`: every `output` sender is dropped, all text is on the screen, and
    /// the editor does not write to the terminal any more. [`TimedOut`](io::ErrorKind::TimedOut):
    /// the editor left one second ago, and the chat has not ended. Closed without a result: the
    /// terminal is gone.
    pub printed: Receiver<io::Result<()>>,
}
