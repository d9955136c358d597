//! The side that waits for the other one. Once it is there, both do the same.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use common::{Input, LineError, lines};

use crate::client::{self, POLL};

/// How many lines typed before the client comes are kept for it. More stay unread.
const KEPT: usize = 256;

type Typed = Result<String, LineError>;

/// Accepts one client and chats with it; the system refuses any other. The listener is closed
/// before the conversation begins.
///
/// Returns at once if `/exit` is typed before the client comes.
///
/// # Errors
///
/// A thread that could not start, a failed accept, and those of [`client::run`].
pub fn run(
    listener: TcpListener,
    console: impl Read + Send + 'static,
    screen: impl Write,
) -> io::Result<()> {
    let (to_typed, typed) = mpsc::sync_channel(0);
    thread::Builder::new()
        .name("console".into())
        .spawn(move || lines(console).try_for_each(|line| to_typed.send(line)))?;
    let mut kept = Vec::new();
    match accept(listener, &typed, &mut kept)? {
        Some(stream) => client::run(stream, kept.into_iter().chain(typed), screen),
        None => Ok(()),
    }
}

/// The first client, or `None` if the console leaves before it comes.
///
/// A blocked accept could not look at the console, and it has no timeout: so it does not block, and
/// the wait is for the console instead.
fn accept(
    listener: TcpListener,
    typed: &Receiver<Typed>,
    kept: &mut Vec<Typed>,
) -> io::Result<Option<TcpStream>> {
    listener.set_nonblocking(true)?;
    let mut left = false;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                // Some systems hand the listener's mode down.
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted if left => return Ok(None),
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
        if kept.len() == KEPT {
            thread::sleep(POLL);
            continue;
        }
        match typed.recv_timeout(POLL) {
            Ok(line) => {
                left = line.as_deref().map(Input::parse) == Ok(Input::Exit);
                kept.push(line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL),
        }
    }
}
