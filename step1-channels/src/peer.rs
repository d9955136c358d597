//! The other participant: a thread that answers each line with the same line.

use std::sync::mpsc::{Receiver, SyncSender};

/// Answers until the writer drops its sender, or until the reader drops its receiver.
///
/// Dropping `to_reader`, when this returns, ends the reader.
pub fn run(from_writer: Receiver<String>, to_reader: SyncSender<String>) {
    while let Ok(line) = from_writer.recv() {
        // Waits while the channel is full.
        if to_reader.send(line).is_err() {
            return;
        }
    }
}
