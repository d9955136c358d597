//! The console end: a writer that waits for the keyboard, and a reader that waits for the peer.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use common::{Input, LineError, sanitize};

use crate::console::status;

/// How many lines each channel holds before its sender has to wait.
const QUEUE: usize = 16;

/// Chats with `peer` until `/exit` or the end of `typed`. The calling thread is the reader; the
/// writer and the peer get a thread each. The peer must return when the writer's channel closes,
/// and not before.
///
/// # Errors
///
/// A thread that could not start or that panicked, an unterminated line, or an output that cannot
/// be written to. A closed output is no error: nobody reads any more.
pub fn run<P>(
    typed: impl Iterator<Item = Result<String, LineError>> + Send + 'static,
    output: impl Write,
    peer: P,
) -> io::Result<()>
where
    // `FnOnce`: it is called once, so it may consume what it owns, such as its ends of the
    // channels.
    // `Send`: it moves to another thread. `'static`: that thread may outlive this call, so the
    // function cannot borrow anything from it.
    P: FnOnce(Receiver<String>, SyncSender<String>) + Send + 'static,
{
    let (to_peer, from_writer) = mpsc::sync_channel(QUEUE);
    let (to_reader, from_peer) = mpsc::sync_channel(QUEUE);
    // A builder names the thread, and returns the error of a thread that cannot start, where
    // `thread::spawn` panics.
    let peer_thread =
        thread::Builder::new().name("peer".into()).spawn(move || peer(from_writer, to_reader))?;
    let writer_thread =
        thread::Builder::new().name("writer".into()).spawn(move || write(typed, to_peer))?;
    match read(from_peer, output) {
        // As after `| head -1`. The writer may be waiting for the keyboard, where nothing wakes it,
        // so do not join it: it ends with the process.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        result => result?,
    }
    // The peer has dropped its sender, so it has ended. If it panicked, the writer may still be
    // waiting for the keyboard; otherwise the peer ended because the writer did.
    let panicked = |_| io::Error::other("a thread panicked");
    peer_thread.join().map_err(panicked)?;
    writer_thread.join().map_err(panicked)?.map_err(io::Error::other)
}

/// Keyboard to channel, until `/exit` or EOF. Dropping `to_peer`, when this returns, ends the peer.
fn write(
    typed: impl Iterator<Item = Result<String, LineError>>,
    to_peer: SyncSender<String>,
) -> Result<(), LineError> {
    for line in typed {
        match line {
            Ok(line) => match Input::parse(&line) {
                Input::Exit => break,
                Input::Blank => {}
                Input::Text(_) | Input::Command { .. } => {
                    // Fails if the peer has ended.
                    if to_peer.send(line).is_err() {
                        break;
                    }
                }
            },
            Err(error @ LineError::TooLong { .. }) => status(error),
            Err(error @ LineError::Unterminated) => return Err(error),
        }
    }
    Ok(())
}

/// Channel to output, until the peer drops its sender.
fn read(from_peer: Receiver<String>, mut output: impl Write) -> io::Result<()> {
    while let Ok(line) = from_peer.recv() {
        writeln!(output, "peer: {}", sanitize(&line))?;
        output.flush()?;
    }
    Ok(())
}
