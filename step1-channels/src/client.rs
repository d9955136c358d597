//! The console end: a writer thread that blocks on stdin, and a reader that blocks on the replies.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use common::{Input, LineError, lines, sanitize};

use crate::log;

/// How many lines each channel holds before its sender has to wait.
const QUEUE: usize = 16;

/// Chats with `peer`, which runs in a thread of its own, until the console leaves. The peer is to
/// return when its lines end.
///
/// # Errors
///
/// A thread that could not start or that panicked, a flood typed without a line end, or a `screen`
/// that cannot be written to. One that is closed is no error: nobody is left to read.
pub fn run<P>(console: impl Read + Send + 'static, screen: impl Write, peer: P) -> io::Result<()>
where
    P: FnOnce(Receiver<String>, SyncSender<String>) + Send + 'static,
{
    let (lines, typed) = mpsc::sync_channel(QUEUE);
    let (replies, answers) = mpsc::sync_channel(QUEUE);
    let peer = thread::Builder::new().name("peer".into()).spawn(move || peer(typed, replies))?;
    let writer =
        thread::Builder::new().name("writer".into()).spawn(move || write(console, lines))?;
    match read(answers, screen) {
        // The writer may be blocked on the console: nothing wakes it, so nobody waits for it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        read => read?,
    }
    // The replies ended, so the peer did. Unless it panicked, it ended because the writer did.
    let panicked = |_| io::Error::other("a thread panicked");
    peer.join().map_err(panicked)?;
    writer.join().map_err(panicked)?.map_err(io::Error::other)
}

/// Console to channel. Dropping `outbound`, when this returns, ends the peer.
fn write(console: impl Read, outbound: SyncSender<String>) -> Result<(), LineError> {
    for line in lines(console) {
        match line {
            Ok(line) => match Input::parse(&line) {
                Input::Exit => break,
                Input::Blank => {}
                Input::Text(_) | Input::Command { .. } => {
                    if outbound.send(line).is_err() {
                        break;
                    }
                }
            },
            Err(error @ LineError::TooLong { .. }) => log(error),
            Err(error @ LineError::Unterminated) => return Err(error),
        }
    }
    Ok(())
}

/// Channel to screen, until the peer drops its sender.
fn read(inbound: Receiver<String>, mut screen: impl Write) -> io::Result<()> {
    while let Ok(line) = inbound.recv() {
        writeln!(screen, "peer: {}", sanitize(&line))?;
        screen.flush()?;
    }
    Ok(())
}
