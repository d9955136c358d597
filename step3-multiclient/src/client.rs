//! The console end: a writer that blocks on what is typed, and a reader that blocks on the socket.

use std::{
    io::{self, ErrorKind, Read, Write},
    iter,
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use common::{Input, LineDecoder, LineError, MAX_LINE, MAX_TEXT, sanitize};
use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};

use crate::{log, session::gather};

/// How many lines may wait between the console and who reads it, and for the screen.
const QUEUE: usize = 256;

/// How long what still comes is printed after `/exit`.
const LINGER: Duration = Duration::from_secs(1);

/// Chats over `stream` until the server ends it, or for a second after `/exit`.
///
/// # Errors
///
/// A connection that ended without a goodbye, whether it broke, was refused or did not end in time;
/// a flood without a line end from either side; a thread that could not start; or a screen that
/// cannot be written to. One that is closed is no error: nobody is left to read.
pub fn run(stream: TcpStream, console: Console) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let (exit, mut exited) = bounded(1);
    let (end, mut ended) = bounded(1);
    let mut screen = Some(console.screen.clone());
    // Nobody joins the writer: it waits for the console for as long as nobody types.
    thread::Builder::new().name("writer".into()).spawn({
        let stream = stream.clone();
        move || write(&stream, console.typed, exit)
    })?;
    thread::Builder::new().name("reader".into()).spawn({
        let stream = stream.clone();
        move || end.send(read(&stream, console.screen))
    })?;
    let mut verdict = Ok(());
    let mut deadline = never();
    let result = loop {
        select! {
            recv(ended) -> end => {
                verdict = end.unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
                ended = never();
                // The last sender: the printer ends when it has printed everything.
                screen = None;
            }
            recv(console.printed) -> printed => break printed.unwrap_or(Ok(())).and(verdict),
            recv(exited) -> exit => {
                match exit {
                    Ok(Ok(())) => deadline = after(LINGER),
                    Ok(Err(error)) => break Err(io::Error::other(error)),
                    // The end of input, which only half-closes: what comes is read to its end.
                    Err(_) => {}
                }
                exited = never();
            }
            recv(deadline) -> _ => break Err(ErrorKind::TimedOut.into()),
        }
    };
    drop(screen);
    // Wakes a blocked reader. It may fail, which does not matter.
    let _ = stream.shutdown(Shutdown::Both);
    result
}

/// Console to socket. Sends to `exit` in order to leave; dropping it only means that no more lines
/// will come.
fn write(
    mut stream: &TcpStream,
    typed: Receiver<Result<String, LineError>>,
    exit: Sender<Result<(), LineError>>,
) {
    let mut left = None;
    while let Ok(line) = typed.recv() {
        match line {
            Ok(line) => {
                if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
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
    let _ = stream.shutdown(Shutdown::Write);
    if let Some(left) = left {
        // Fails if the chat has ended: then we have left.
        let _ = exit.send(left);
    }
}

/// Socket to screen, until the server ends, or until the screen is closed.
fn read(mut stream: &TcpStream, screen: Sender<Arc<str>>) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_LINE);
    let mut buf = [0; 4096];
    let mut last = String::new();
    let ended = loop {
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
                    if screen.send(format!("{last}\n").into()).is_err() {
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
/// No system has a read of a console that can be given up: so the thread is.
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
        let (typing, typed) = bounded(QUEUE);
        let (screen, shown) = bounded(QUEUE);
        let (printer, printed) = bounded(1);
        thread::Builder::new()
            .name("console".into())
            .spawn(move || lines(input).try_for_each(|line| typing.send(line)))?;
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || printer.send(print(shown, output)))?;
        Ok(Self {
            typed,
            screen,
            printed,
        })
    }
}

/// Shows lines until their sender is dropped, or until the output is closed.
fn print(lines: Receiver<Arc<str>>, mut output: impl Write) -> io::Result<()> {
    while let Ok(line) = lines.recv() {
        let batch = gather(line, &lines);
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
