//! The console end: a writer that waits for the keyboard, and a reader that waits for the socket.
//! Both sides of the connection run it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use common::{Input, LineDecoder, LineError, Lines, MAX_TEXT, sanitize};

use crate::console::status;

/// How long the reader may be blocked before it checks for an [`Exit`].
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// How long the client prints what still arrives after `/exit`.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the writer ends the chat. A channel that closes without this message only means that no more
/// lines will be typed; if the connection is lost, the reader notices.
enum Exit {
    /// `/exit` was typed.
    Typed,
    /// The connection was reset, or a typed line is unterminated.
    Failed(io::Error),
}

/// Chats over `stream` until either side leaves. The calling thread is the reader.
///
/// # Errors
///
/// A thread that could not start.
///
/// A connection that broke (EOF is no error); an unterminated line from either side; an output that
/// cannot be written to. A closed output is no error, as after `| head -1`.
pub fn run(
    stream: TcpStream,
    typed: impl Iterator<Item = Result<String, LineError>> + Send + 'static,
    output: impl Write,
) -> io::Result<()> {
    // Send small writes at once. By default, TCP holds them back until the other side has
    // acknowledged the last one: this is Nagle's algorithm.
    stream.set_nodelay(true)?;
    // A second handle of the same socket, not a second socket.
    let handle = stream.try_clone()?;
    let (exit, on_exit) = mpsc::channel();
    // Never joined: it waits for the keyboard, and nothing wakes it.
    thread::Builder::new().name("writer".into()).spawn(move || write(handle, typed, exit))?;
    match read(stream, output, on_exit) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Keyboard to socket, until `/exit` or EOF.
fn write(
    mut stream: TcpStream,
    typed: impl Iterator<Item = Result<String, LineError>>,
    exit: Sender<Exit>,
) {
    let mut leave = None;
    for line in typed {
        match line {
            Ok(line) if Input::parse(&line) == Input::Blank => {}
            Ok(line) => {
                let bytes = format!("{line}\n");
                if let Err(error) = stream.write_all(bytes.as_bytes()) {
                    // The OS reports a reset once per socket. The writer got it, so the reader
                    // would only get EOF. The reader notices every other end of the connection.
                    if error.kind() == ErrorKind::ConnectionReset {
                        // Fails if the chat has ended.
                        let _ = exit.send(Exit::Failed(error));
                    }
                    return;
                }
                if Input::parse(&line) == Input::Exit {
                    leave = Some(Exit::Typed);
                    break;
                }
            }
            Err(error @ LineError::TooLong { .. }) => status(error),
            Err(error @ LineError::Unterminated) => {
                leave = Some(Exit::Failed(io::Error::other(error)));
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

/// Socket to output, until the other side leaves, or for [`EXIT_TIMEOUT`] after `/exit`.
fn read(mut stream: TcpStream, mut output: impl Write, on_exit: Receiver<Exit>) -> io::Result<()> {
    stream.set_read_timeout(Some(POLL))?;
    let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
    let mut buf = [0; 4096];
    let mut deadline = None;
    loop {
        match on_exit.try_recv() {
            Ok(Exit::Typed) => deadline = Some(Instant::now() + EXIT_TIMEOUT),
            Ok(Exit::Failed(error)) => return Err(error),
            // No message yet; or EOF on stdin, and there will be none.
            Err(_) => {}
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        let n = match stream.read(&mut buf) {
            Ok(n) => n,
            Err(error) => match error.kind() {
                // A timeout is `WouldBlock` on Unix, `TimedOut` on Windows.
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => continue,
                _ => return Err(error),
            },
        };
        let lines = match n {
            0 => decoder.finish(),
            n => decoder.feed(&buf[..n]),
        };
        if !print(lines, &mut output)? {
            return Ok(());
        }
        if n == 0 {
            // If input was piped in, the writer may still be sending it: give it 100 ms. If it is
            // waiting for the keyboard, there is nothing to wait for.
            return match on_exit.recv_timeout(POLL) {
                Ok(Exit::Failed(error)) => Err(error),
                Ok(Exit::Typed) | Err(_) => Ok(()),
            };
        }
    }
}

/// Prints what the other side says. Returns `false` after its `/exit`.
fn print(lines: Lines<'_>, output: &mut impl Write) -> io::Result<bool> {
    for line in lines {
        match line {
            Ok(line) => match Input::parse(&line) {
                Input::Exit => return Ok(false),
                Input::Blank => {}
                Input::Text(_) | Input::Command { .. } => {
                    writeln!(output, "peer: {}", sanitize(&line))?;
                    output.flush()?;
                }
            },
            Err(error @ LineError::TooLong { .. }) => status(error),
            Err(error @ LineError::Unterminated) => return Err(io::Error::other(error)),
        }
    }
    Ok(true)
}
