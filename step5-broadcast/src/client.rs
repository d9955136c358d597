//! The console end: a writer that awaits what is typed, and a reader that awaits the socket.

use std::{
    io::{self, ErrorKind, Read, Write},
    iter,
    sync::Arc,
    thread,
    time::Duration,
};

use common::{Input, LineDecoder, LineError, MAX_LINE, MAX_TEXT, sanitize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::log;

/// How many bytes are printed at once; the last line may exceed it.
const BATCH: usize = 16 * 1024;

/// How many lines may wait between the console and who reads it, and for the screen.
pub(crate) const QUEUE: usize = 256;

/// How long what still comes is printed after `/exit`.
const LINGER: Duration = Duration::from_secs(1);

/// Chats over `stream` until the server ends it, or for a second after `/exit`. Asks for `name`
/// first; the server's answer is shown like everything else.
///
/// # Errors
///
/// A connection that ended without a goodbye, whether it broke, was refused or did not end in time;
/// a flood without a line end from either side; a screen that
/// cannot be written to. One that is closed is no error: nobody is left to read.
pub async fn run(
    mut stream: TcpStream,
    mut console: Console,
    name: Option<String>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(name) = name {
        stream
            .write_all(format!("/nick {name}\n").as_bytes())
            .await?;
    }
    let (input, output) = stream.into_split();
    let (exit, mut exited) = channel(1);
    let (end, mut ended) = channel(1);
    let mut screen = Some(console.screen.clone());
    // Aborted when this returns, as their set is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(write(output, console.typed, exit));
    tasks.spawn(async move {
        // Fails if the chat has ended.
        let _ = end.send(read(input, console.screen).await).await;
    });
    let mut verdict = Ok(());
    let mut deadline = None;
    let result = loop {
        select! {
            end = ended.recv(), if screen.is_some() => {
                verdict = end.unwrap_or_else(|| Err(io::Error::other("the reader panicked")));
                // The last sender: the printer ends when it has printed everything.
                screen = None;
            }
            printed = console.printed.recv() => break printed.unwrap_or(Ok(())).and(verdict),
            // The end of input is no message: it only half-closes, and what comes is read to its end.
            Some(exit) = exited.recv() => match exit {
                Ok(()) => deadline = Some(Instant::now() + LINGER),
                Err(error) => break Err(io::Error::other(error)),
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                break Err(ErrorKind::TimedOut.into());
            }
        }
    };
    drop(screen);
    result
}

/// Console to socket. Sends to `exit` in order to leave; dropping it only means that no more lines
/// will come.
async fn write(
    mut stream: OwnedWriteHalf,
    mut typed: Receiver<Result<String, LineError>>,
    exit: Sender<Result<(), LineError>>,
) {
    let mut left = None;
    while let Some(line) = typed.recv().await {
        match line {
            Ok(line) => {
                if stream
                    .write_all(format!("{line}\n").as_bytes())
                    .await
                    .is_err()
                {
                    // The reader learns of it from the same socket.
                    return;
                }
                if Input::parse(&line) == Input::Exit {
                    left = Some(Ok(()));
                    break;
                }
            }
            Err(error @ LineError::TooLong { .. }) => log(error),
            Err(error @ LineError::Flood) => {
                left = Some(Err(error));
                break;
            }
        }
    }
    // Fails if the other side is gone, which the reader learns, too.
    let _ = stream.shutdown().await;
    if let Some(left) = left {
        // Fails if the chat has ended: then we have left.
        let _ = exit.send(left).await;
    }
}

/// Socket to screen, until the server ends, or until the screen is closed.
async fn read(mut stream: OwnedReadHalf, screen: Sender<Arc<str>>) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_LINE);
    let mut buf = [0; 4096];
    let mut last = String::new();
    let ended = loop {
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
                    if screen.send(format!("{last}\n").into()).await.is_err() {
                        return Ok(());
                    }
                }
                Err(error @ LineError::TooLong { .. }) => log(error),
                Err(error @ LineError::Flood) => return Err(io::Error::other(error)),
            }
        }
        if n == 0 {
            break ErrorKind::UnexpectedEof.into();
        }
    };
    match last.strip_prefix("! ") {
        Some(reason) => Err(io::Error::other(reason)),
        None if last == "* goodbye" => Ok(()),
        None => Err(ended),
    }
}

/// A keyboard and a screen, each with a thread that blocks on it.
///
/// Threads, on Tokio as well: its stdin is one, too, and would hold the exit up until Enter.
#[derive(Debug)]
pub struct Console {
    /// What is typed. It closes at the end of input.
    pub typed: Receiver<Result<String, LineError>>,
    /// What is to be shown, line ends included. It closes when the output does.
    pub screen: Sender<Arc<str>>,
    /// Told once: when everything is shown and `screen` has closed, or why it cannot be shown.
    pub printed: Receiver<io::Result<()>>,
}

impl Console {
    /// Starts both threads. Nobody joins them: nothing wakes a thread that is blocked here.
    ///
    /// # Errors
    ///
    /// A thread that could not start.
    pub fn open(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (typing, typed) = channel(QUEUE);
        let (screen, shown) = channel(QUEUE);
        let (printer, printed) = channel(1);
        thread::Builder::new()
            .name("console".into())
            .spawn(move || lines(input).try_for_each(|line| typing.blocking_send(line)))?;
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || printer.blocking_send(print(shown, output)))?;
        Ok(Self {
            typed,
            screen,
            printed,
        })
    }
}

/// Shows lines until their sender is dropped, or until the output is closed.
fn print(mut lines: Receiver<Arc<str>>, mut output: impl Write) -> io::Result<()> {
    while let Some(line) = lines.blocking_recv() {
        let batch = gather(line, &mut lines);
        match output.write_all(&batch).and_then(|()| output.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(())
}

/// The lines that `console` gives. Each waits for as long as nobody types.
///
/// They end at the end of input; a console that cannot be read has ended, too.
pub fn lines(mut console: impl Read) -> impl Iterator<Item = Result<String, LineError>> {
    let mut decoder = LineDecoder::new(MAX_TEXT);
    let mut open = true;
    let mut buf = [0; 4096];
    let more = iter::from_fn(move || match open.then(|| console.read(&mut buf))? {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(Vec::new()),
        Ok(0) | Err(_) => {
            open = false;
            Some(decoder.finish().collect())
        }
        Ok(n) => Some(decoder.feed(&buf[..n]).collect()),
    });
    more.flatten()
}

/// The bytes of `line` and of what is queued behind it, up to [`BATCH`].
pub(crate) fn gather(line: Arc<str>, lines: &mut Receiver<Arc<str>>) -> Vec<u8> {
    // What is queued is about as long, line by line.
    let mut batch = Vec::with_capacity((line.len() * (1 + lines.len())).min(2 * BATCH));
    batch.extend_from_slice(line.as_bytes());
    while batch.len() < BATCH
        && let Ok(line) = lines.try_recv()
    {
        batch.extend_from_slice(line.as_bytes());
    }
    batch
}
