//! The console end: a writer that waits for the keyboard, and a reader that waits for the socket.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use common::{Input, LineDecoder, LineError, MAX_LINE, sanitize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::select;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::console::{Console, status};
use crate::timer::expiry;

/// How long the client prints what still arrives after `/exit`.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The errors after which a server closes the connection.
const FINAL: [&str; 2] = ["server is full", "too slow"];

/// Chats over `stream` until the server ends the connection, or for [`EXIT_TIMEOUT`] after
/// `/exit`. Asks for `name` first; the server's reply is printed like everything else.
///
/// # Errors
///
/// A connection that ended without a goodbye, because it broke, was refused or did not end in
/// time; an unterminated line from either side; an output that cannot be written to. A closed
/// output is no error, as after `| head -1`.
pub async fn run(
    mut stream: TcpStream,
    mut console: Console,
    name: Option<String>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(name) = name {
        let bytes = format!("/nick {name}\n");
        stream.write_all(bytes.as_bytes()).await?;
    }
    let (input, output) = stream.into_split();
    let (exit, mut on_exit) = channel(1);
    let (end, mut on_end) = channel(1);
    // Keeps the printer running until the reader's result is known. Otherwise `printed` could win
    // before `on_end`, and the result would be lost.
    let mut keep_printing = Some(console.output.clone());
    // Dropping the set, when this returns, aborts both tasks.
    let mut tasks = JoinSet::new();
    tasks.spawn(write(output, console.typed, exit));
    tasks.spawn(async move {
        // Fails if the chat has ended.
        let _ = end.send(read(input, console.output).await).await;
    });
    let mut ended = Ok(());
    let mut deadline = None;
    loop {
        select! {
            // Happens once: then the channel is closed, and a closed channel is always ready.
            end = on_end.recv(), if keep_printing.is_some() => {
                ended = end.unwrap_or_else(|| Err(io::Error::other("the reader panicked")));
                // The last sender: the printer prints what is queued and ends.
                keep_printing = None;
            }
            printed = console.printed.recv() => return printed.unwrap_or(Ok(())).and(ended),
            // A closed channel only means that no more lines will be typed: read on until the end.
            Some(exit) = on_exit.recv() => match exit {
                Ok(()) => deadline = Some(Instant::now() + EXIT_TIMEOUT),
                Err(error) => return Err(io::Error::other(error)),
            },
            () = expiry(deadline) => return Err(ErrorKind::TimedOut.into()),
        }
    }
}

/// Keyboard to socket. Sends `Ok` to `exit` after `/exit`; dropping `exit` only means that no more
/// lines will be typed.
async fn write(
    mut stream: OwnedWriteHalf,
    mut typed: Receiver<Result<String, LineError>>,
    exit: Sender<Result<(), LineError>>,
) {
    let mut leave = None;
    while let Some(line) = typed.recv().await {
        match line {
            Ok(line) => {
                let bytes = format!("{line}\n");
                if stream.write_all(bytes.as_bytes()).await.is_err() {
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
    let _ = stream.shutdown().await;
    if let Some(leave) = leave {
        // Fails if the chat has ended.
        let _ = exit.send(leave).await;
    }
}

/// Socket to output, until the server closes the connection or the output closes.
async fn read(mut stream: OwnedReadHalf, output: Sender<Arc<str>>) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_LINE);
    let mut buf = [0; 4096];
    let mut last = String::new();
    let cause = loop {
        let n = match stream.read(&mut buf).await {
            Ok(n) => n,
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
                    if output.send(format!("{last}\n").into()).await.is_err() {
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
