//! What the hub sends to one participant alone.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;

use crate::batch::Batch;

/// How many bytes of answers one read may cause; the last may exceed it.
pub(crate) const ANSWERS: usize = 64 * 1024;

/// What changing rooms counts towards it at least, so that mailboxes have room for all changes.
pub(crate) const MOVE: usize = 1024;

/// How many messages may wait for somebody. A mailbox has room for these and for answers.
pub(crate) const MESSAGES: usize = 128;

/// How many mails may wait for somebody: messages, and what one read may cause, which is two for
/// each change of rooms, and some for being let into a room and for coming back.
pub(crate) const MAILBOX: usize = MESSAGES + 2 * (ANSWERS / MOVE) + 16;

/// What is for one participant alone. It is read between two lines of its room: behind all that
/// the room had said when it was written.
#[derive(Debug)]
pub(crate) struct Mail {
    /// The number of the room's next line, if the reader reads a room.
    pub(crate) after: u64,
    /// How many lines of its own its rooms have heard so far.
    pub(crate) own: u64,
    /// Whole lines.
    pub(crate) text: String,
    pub(crate) course: Course,
    /// Whether this is all that there is to say to what was asked.
    pub(crate) answers: bool,
}

/// Where the reader reads on.
#[derive(Debug)]
pub(crate) enum Course {
    Stay,
    Leave,
    Enter(Entry),
}

/// How to read a room.
#[derive(Debug)]
pub(crate) struct Entry {
    /// All that it says from now on, and perhaps the end of what it said before. None for a reader
    /// that was too slow to take it.
    pub(crate) ring: Option<Receiver<Arc<Batch>>>,
    /// The number of the first line to be read.
    pub(crate) from: u64,
}
