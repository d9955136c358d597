//! The console end, and with it the whole conversation: a writer thread that blocks on the console,
//! and a reader that blocks on the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use common::{Input, LineDecoder, LineError, MAX_TEXT, sanitize};

use crate::log;

/// How long the reader may be blocked before it looks whether the writer wants to leave.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// How long what still comes is printed after `/exit`.
const LINGER: Duration = Duration::from_secs(1);

/// Chats over `stream` until either side leaves.
///
/// # Errors
///
/// A connection that broke (its end is no error), a flood without a line end from either side, a
/// writer thread that could not start, or a `screen` that cannot be written to. One that is closed
/// is no error: nobody is left to read.
pub fn run(
    stream: TcpStream,
    console: impl Iterator<Item = Result<String, LineError>> + Send + 'static,
    screen: impl Write,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (exit, exited) = mpsc::channel();
    let outgoing = stream.try_clone()?;
    // Nobody joins the writer: it may be blocked on the console, where nothing wakes it.
    thread::Builder::new().name("writer".into()).spawn(move || write(outgoing, console, exit))?;
    read(stream, screen, exited)
}

/// Console to socket. Sends to `exit` in order to leave; dropping it only means that no more lines
/// will come.
fn write(
    mut stream: TcpStream,
    console: impl Iterator<Item = Result<String, LineError>>,
    exit: Sender<io::Result<()>>,
) {
    let mut left = None;
    for line in console {
        match line {
            Ok(line) => {
                let input = Input::parse(&line);
                if input == Input::Blank {
                    continue;
                }
                match stream.write_all(format!("{line}\n").as_bytes()) {
                    // A socket tells this once: the reader would take it for an orderly end.
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                        left = Some(Err(error));
                        break;
                    }
                    // The other side has ended, which the reader learns from the same socket.
                    Err(_) => return,
                    Ok(()) => {}
                }
                if input == Input::Exit {
                    left = Some(Ok(()));
                    break;
                }
            }
            Err(error @ LineError::TooLong { .. }) => log(error),
            Err(error @ LineError::Unterminated) => {
                left = Some(Err(io::Error::other(error)));
                break;
            }
        }
    }
    // Fails if the other side is gone, which the reader learns, too.
    let _ = stream.shutdown(Shutdown::Write);
    if let Some(left) = left {
        // Fails if the reader has ended: then we have left.
        let _ = exit.send(left);
    }
}

/// Socket to screen, until the other side ends, or for [`LINGER`] after the writer left.
fn read(
    mut stream: TcpStream,
    mut screen: impl Write,
    exit: Receiver<io::Result<()>>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(POLL))?;
    let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
    let mut buf = [0; 4096];
    let mut deadline = None;
    loop {
        if let Ok(left) = exit.try_recv() {
            left?;
            deadline = Some(Instant::now() + LINGER);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        let n = match stream.read(&mut buf) {
            Ok(n) => n,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => continue,
                _ => return Err(error),
            },
        };
        let lines = match n {
            0 => decoder.finish(),
            n => decoder.feed(&buf[..n]),
        };
        let (shown, left) = show(lines)?;
        match screen.write_all(shown.as_bytes()).and_then(|()| screen.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        if left {
            return Ok(());
        }
        if n == 0 {
            // What was piped in may be on its way still; a writer that waits for Enter is not.
            return exit.recv_timeout(POLL).unwrap_or(Ok(()));
        }
    }
}

/// What the screen shows of `lines`, and whether the other side left with them.
fn show(lines: impl Iterator<Item = Result<String, LineError>>) -> io::Result<(String, bool)> {
    let mut shown = String::new();
    for line in lines {
        match line {
            Ok(line) => match Input::parse(&line) {
                Input::Exit => return Ok((shown, true)),
                Input::Blank => {}
                Input::Text(_) | Input::Command { .. } => {
                    shown += &format!("peer: {}\n", sanitize(&line));
                }
            },
            Err(error @ LineError::TooLong { .. }) => log(error),
            Err(error @ LineError::Unterminated) => return Err(io::Error::other(error)),
        }
    }
    Ok((shown, false))
}
