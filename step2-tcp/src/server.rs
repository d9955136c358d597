//! The server waits for one client. After that, both sides run the same code.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use common::{Input, lines};

use crate::client::{self, POLL};

/// How many lines are kept if you type before the client comes. The rest stays unread.
const QUEUE: usize = 256;

/// Accepts one client and chats with it. The listener closes before the chat begins, so the OS
/// refuses every other client. Returns at once if `/exit` is typed before the client comes.
///
/// # Errors
///
/// A thread that could not start, a failed accept, and those of [`client::run`].
pub fn run(
    listener: TcpListener,
    input: impl Read + Send + 'static,
    output: impl Write,
) -> io::Result<()> {
    let (to_writer, typed) = mpsc::sync_channel(QUEUE);
    let (exit, on_exit) = mpsc::channel();
    // There is no writer before there is a client. Meanwhile this thread waits for the keyboard.
    thread::Builder::new().name("keyboard".into()).spawn(move || {
        for line in lines(input) {
            if line.as_deref().map(Input::parse) == Ok(Input::Exit) {
                // Fails if a client has come. Then the writer finds the line in its queue.
                let _ = exit.send(());
            }
            if to_writer.send(line).is_err() {
                return;
            }
        }
    })?;
    match accept(listener, on_exit)? {
        Some(stream) => client::run(stream, typed.into_iter(), output),
        None => Ok(()),
    }
}

/// The first client, or `None` if `/exit` is typed before it comes.
///
/// A blocked `accept` notices nothing else, and it has no timeout. So this one does not block.
fn accept(listener: TcpListener, on_exit: Receiver<()>) -> io::Result<Option<TcpStream>> {
    listener.set_nonblocking(true)?;
    loop {
        // Checked before `accept`: a client that connected before `/exit` is served.
        let exit = on_exit.try_recv().is_ok();
        match listener.accept() {
            Ok((stream, _)) => {
                // Some systems pass the listener's mode on.
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted if exit => return Ok(None),
                ErrorKind::WouldBlock | ErrorKind::Interrupted => thread::sleep(POLL),
                _ => return Err(error),
            },
        }
    }
}
