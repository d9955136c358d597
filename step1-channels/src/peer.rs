//! The other participant: a thread that answers each line with the same line.

use std::sync::mpsc::{Receiver, SyncSender};

/// Answers until `lines` closes, or until nobody is left to read the replies.
///
/// A full reply channel holds the peer up. Returning drops `replies`, which ends the reader.
pub fn run(lines: Receiver<String>, replies: SyncSender<String>) {
    while let Ok(line) = lines.recv() {
        if replies.send(line).is_err() {
            return;
        }
    }
}
