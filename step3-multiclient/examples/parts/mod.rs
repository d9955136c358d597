//! What the roads not taken share: the command line of the step, and the meaning of lines.

#![allow(dead_code, reason = "each road uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{Shutdown as Close, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::{Input, Line, LineError, check_address};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never, select};
use step3_multiclient::console::{Console, status};
use step3_multiclient::server::DRAIN;
use step3_multiclient::signals::Shutdown;
use step3_multiclient::{client, server, signals};

/// A unique id of a member, never reused.
pub(crate) type Id = usize;

/// The id of the operator, the member at the server's console.
pub(crate) const OPERATOR: Id = 0;

/// A server with the parameters of `step3_multiclient::server::run`.
type Serve = fn(TcpListener, Console, Shutdown, usize) -> io::Result<()>;

/// Chat with many people. `/exit` leaves the chat; typed at the server, it ends the server.
#[derive(Parser)]
#[command(after_help = "Examples, by default on 127.0.0.1:8080: server, client")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve clients until /exit, SIGINT or SIGTERM
    Server {
        /// The address to listen on; with port 0, the OS chooses a free port
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
        /// The maximum number of connections
        #[arg(long)]
        max_clients: Option<usize>,
    },
    /// Connect to a server
    Client {
        /// The address of the server
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
    },
}

/// The `main` of a road: `serve` is its server, the client is that of the step.
pub(crate) fn run(max_clients: usize, serve: Serve) -> ExitCode {
    let (addr, ended) = match Cli::parse().command {
        Command::Server { addr, max_clients: max } => {
            let ended = listen_and_serve(&addr, max.unwrap_or(max_clients), serve);
            (addr, ended)
        }
        Command::Client { addr } => {
            let ended = connect(&addr);
            (addr, ended)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {addr}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn listen_and_serve(addr: &str, max_clients: usize, serve: Serve) -> io::Result<()> {
    signals::ignore_stops_in_background();
    let shutdown = signals::on_signal()?;
    let listener = server::bind(addr)?;
    let console = Console::open(io::stdin(), io::stdout())?;
    status(format_args!("listening on {}", listener.local_addr()?));
    serve(listener, console, shutdown, max_clients)
}

fn connect(addr: &str) -> io::Result<()> {
    let stream = TcpStream::connect(check_address(addr)?)?;
    client::run(stream, Console::open(io::stdin(), io::stdout())?)
}

/// The name of a member.
pub(crate) fn name(id: Id) -> String {
    match id {
        OPERATOR => "server".into(),
        id => format!("client-{id}"),
    }
}

/// A notice, as a line with its end.
pub(crate) fn notice(text: &str) -> String {
    format!("{}\n", Line::Notice(text))
}

/// The effect of the lines that a member sent.
#[derive(Default)]
pub(crate) struct Received {
    /// To all other members.
    pub(crate) said: String,
    /// To the member itself.
    pub(crate) errors: String,
    /// Whether the member leaves.
    pub(crate) exit: bool,
}

impl Received {
    /// Parses the lines of one read.
    pub(crate) fn new(id: Id, lines: impl IntoIterator<Item = Result<String, LineError>>) -> Self {
        let mut received = Self::default();
        let name = &name(id);
        for line in lines {
            let error = match &line {
                Ok(line) => match Input::parse(line) {
                    Input::Exit => {
                        received.exit = true;
                        break;
                    }
                    Input::Blank => continue,
                    Input::Text(text) => {
                        received.said += &format!("{}\n", Line::Said { name, text });
                        continue;
                    }
                    Input::Command { .. } => format!("unknown command: {line}"),
                },
                Err(error) => error.to_string(),
            };
            received.errors += &format!("{}\n", Line::Error(&error));
            received.exit |= line == Err(LineError::Unterminated);
        }
        received
    }
}

/// Passes what the operator types to `deliver`, until it leaves or `shutdown` closes.
pub(crate) fn operate(
    mut typed: Receiver<Result<String, LineError>>,
    shutdown: &Shutdown,
    mut deliver: impl FnMut(&Received),
) {
    loop {
        select! {
            recv(typed) -> line => {
                let Ok(line) = line else {
                    typed = never();
                    continue;
                };
                let received = Received::new(OPERATOR, [line]);
                deliver(&received);
                if received.exit {
                    return;
                }
            }
            recv(shutdown) -> _ => return,
        }
    }
}

/// The operator's output. It holds up the room for at most 250 ms, and then loses lines.
pub(crate) struct Output {
    queue: Sender<Arc<str>>,
    printed: Receiver<io::Result<()>>,
    stalled: bool,
}

impl Output {
    pub(crate) fn new(queue: Sender<Arc<str>>, printed: Receiver<io::Result<()>>) -> Self {
        Self { queue, printed, stalled: false }
    }

    /// Waits for at most 250 ms. After that it drops lines, until everything queued is printed.
    pub(crate) fn print(&mut self, lines: &str) {
        if !lines.is_empty() && (!self.stalled || self.queue.is_empty()) {
            let timeout = Duration::from_millis(250);
            self.stalled = self.queue.send_timeout(lines.into(), timeout).is_err();
        }
    }

    /// Never waits. Takes `lines`, or leaves them if the queue is full.
    pub(crate) fn try_print(&self, lines: &mut String) {
        if !lines.is_empty()
            && !matches!(self.queue.try_send(lines.as_str().into()), Err(TrySendError::Full(_)))
        {
            lines.clear();
        }
    }

    /// Waits until everything queued is printed, but no longer than [`DRAIN`].
    pub(crate) fn finish(&mut self) {
        // The last sender: the printer ends when the queue is empty.
        self.queue = bounded(0).0;
        // An output that is closed or stalled is no reason to wait longer.
        let _ = self.printed.recv_timeout(DRAIN);
    }
}

/// Sends the reason and closes. It never waits: the send buffer of a new socket is empty.
pub(crate) fn refuse(mut stream: TcpStream) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    // If any of this fails, the client is gone already.
    let _ = stream.write(format!("{}\n", Line::Error("server is full")).as_bytes());
    let _ = stream.shutdown(Close::Write);
    // Closing a socket with unread input resets the connection, which destroys the line.
    let _ = stream.read(&mut [0; 4096]);
}
