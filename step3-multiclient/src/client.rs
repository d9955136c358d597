//! The console end: a writer that waits for the keyboard, and a reader that waits for the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Input, LineDecoder, LineError, MAX_LINE, sanitize};
use crossbeam_channel::{Receiver, Sender, at, bounded, never, select};

use crate::console::{Console, status};

/// How long the client prints what still arrives after `/exit`.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The errors after which a server closes the connection.
const FINAL: [&str; 2] = ["server is full", "too slow"];

/// Chats over `stream` until the server ends the connection, or for [`EXIT_TIMEOUT`] after
/// `/exit`.
///
/// # Errors
///
/// A thread that could not start.
///
/// A connection that ended without a goodbye, because it broke, was refused or did not end in
/// time; an unterminated line from either side; an output that cannot be written to. A closed
/// output is no error, as after `| head -1`.
pub fn run(stream: TcpStream, console: Console) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let (exit, mut on_exit) = bounded(1);
    let (end, mut on_end) = bounded(1);
    // Keeps the printer running until the reader's result is known. Otherwise `printed` could win
    // before `on_end`, and the result would be lost.
    let mut keep_printing = Some(console.output.clone());
    // Never joined: it waits for the keyboard, and nothing wakes it.
    thread::Builder::new().name("writer".into()).spawn({
        let stream = stream.clone();
        move || write(&stream, console.typed, exit)
    })?;
    thread::Builder::new().name("reader".into()).spawn({
        let stream = stream.clone();
        move || {
            // Fails if the chat has ended.
            let _ = end.send(read(&stream, console.output));
        }
    })?;
    let mut ended = Ok(());
    let mut deadline = None;
    let result = loop {
        select! {
            // Happens once: then the channel is closed, and a closed channel is always ready.
            recv(on_end) -> end => {
                ended = end.unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
                // The last sender: the printer prints what is queued and ends.
                drop(keep_printing.take());
                on_end = never();
            }
            recv(console.printed) -> printed => break printed.unwrap_or(Ok(())).and(ended),
            // A closed channel only means that no more lines will be typed: read on until the end.
            recv(on_exit) -> exit => match exit {
                Ok(Ok(())) => deadline = Some(Instant::now() + EXIT_TIMEOUT),
                Ok(Err(error)) => break Err(io::Error::other(error)),
                Err(_) => on_exit = never(),
            },
            recv(expiry(deadline)) -> _ => break Err(ErrorKind::TimedOut.into()),
        }
    };
    // Wakes a reader that is blocked. Fails if the connection is lost.
    let _ = stream.shutdown(Shutdown::Both);
    result
}

/// Waits until `deadline`, or forever if there is none.
fn expiry(deadline: Option<Instant>) -> Receiver<Instant> {
    match deadline {
        Some(deadline) => at(deadline),
        None => never(),
    }
}

/// Keyboard to socket. Sends `Ok` to `exit` after `/exit`; dropping `exit` only means that no more
/// lines will be typed.
fn write(
    mut stream: &TcpStream,
    typed: Receiver<Result<String, LineError>>,
    exit: Sender<Result<(), LineError>>,
) {
    let mut leave = None;
    while let Ok(line) = typed.recv() {
        match line {
            Ok(line) => {
                let bytes = format!("{line}\n");
                if stream.write_all(bytes.as_bytes()).is_err() {
                    // The reader notices: an end without a goodbye is an error.
                    return;
                }
                if Input::parse(&line) == Input::Exit {
                    leave = Some(Ok(()));
                    break;
                }
            }
            Err(error @ LineError::TooLong { .. }) => status(error),
            Err(error @ LineError::Unterminated) => {
                leave = Some(Err(error));
                break;
            }
        }
    }
    // Fails if the connection is lost, which the reader notices.
    let _ = stream.shutdown(Shutdown::Write);
    if let Some(leave) = leave {
        // Fails if the chat has ended.
        let _ = exit.send(leave);
    }
}

/// Socket to output, until the server closes the connection or the output closes.
fn read(mut stream: &TcpStream, output: Sender<Arc<str>>) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_LINE);
    let mut buf = [0; 4096];
    let mut last = String::new();
    let cause = loop {
        let n = match stream.read(&mut buf) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => break error,
        };
        let lines = match n {
            0 => decoder.finish(),
            n => decoder.feed(&buf[..n]),
        };
        for line in lines {
            match line {
                Ok(line) => {
                    last = sanitize(&line).into_owned();
                    if output.send(format!("{last}\n").into()).is_err() {
                        return Ok(());
                    }
                }
                Err(error @ LineError::TooLong { .. }) => status(error),
                Err(error @ LineError::Unterminated) => return Err(io::Error::other(error)),
            }
        }
        if n == 0 {
            break io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection");
        }
    };
    match last.strip_prefix("! ") {
        Some(reason) if FINAL.contains(&reason) => Err(io::Error::other(reason)),
        _ if last == "* goodbye" => Ok(()),
        _ => Err(cause),
    }
}
