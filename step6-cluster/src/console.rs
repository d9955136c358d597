//! Keyboard and output: a thread for each, since reading and writing them may block forever.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;

use common::{LineError, lines};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The capacity of both channels, in lines or batches of lines.
const QUEUE: usize = 256;

/// A keyboard and an output.
///
/// Threads, on Tokio as well: `tokio::io::stdin` is a thread, too, and delays the exit until Enter.
#[derive(Debug)]
pub struct Console {
    /// The lines typed. Closed at EOF.
    pub typed: Receiver<Result<String, LineError>>,
    /// Whole lines to print. Closed when the output is.
    pub output: Sender<Arc<str>>,
    /// One message: `Ok` when `output` has closed and everything is printed, or the error.
    pub printed: Receiver<io::Result<()>>,
}

impl Console {
    /// Starts both threads. They are never joined: a blocking read or write of a console cannot be
    /// cancelled, so a thread that is blocked there is abandoned.
    ///
    /// # Errors
    ///
    /// A thread that could not start.
    pub fn open(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (to_typed, typed) = channel(QUEUE);
        let (to_output, queued) = channel(QUEUE);
        let (to_printed, printed) = channel(1);
        // A builder names the thread, and returns the error of a thread that cannot start.
        thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || lines(input).try_for_each(|line| to_typed.blocking_send(line)))?;
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || to_printed.blocking_send(print(queued, output)))?;
        Ok(Self { typed, output: to_output, printed })
    }
}

/// Prints lines until their sender is dropped, or until the output is closed.
fn print(mut queued: Receiver<Arc<str>>, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    while let Some(lines) = queued.blocking_recv() {
        let mut printed = output.write_all(lines.as_bytes());
        if queued.is_empty() {
            printed = printed.and_then(|()| output.flush());
        }
        match printed {
            // The program that reads this has ended, as after `| head -1`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            printed => printed?,
        }
    }
    Ok(())
}

/// Writes a line of status to stderr.
pub fn status(line: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{line}");
}
