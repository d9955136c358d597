//! The command line of step 6.

use std::process::ExitCode;
use std::{env, io};

use anyhow::Context;
use clap::{Parser, Subcommand};
use common::check_address;
use line_editor::Terminal;
use step6_cluster::accept::Limits;
use step6_cluster::console::{Console, status};
use step6_cluster::{client, server, signals};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "ADDR is HOST:PORT, by default 127.0.0.1:8080.

Examples:
  step6-cluster server            in one terminal
  step6-cluster client --name ann in other terminals; or: nc 127.0.0.1 8080
  step6-cluster server [::1]:9000 --max-clients 20
  step6-cluster client localhost:9000
  RUST_LOG=info step6-cluster server";

/// How many lines of the log may wait for a stderr that nobody reads. More are dropped.
const LOG: usize = 1024;

/// Chat in rooms, with names. `/help` lists the commands. `/exit` leaves the chat; typed at the
/// server, it ends the server.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
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
        #[arg(long, default_value_t = 10_000)]
        max_clients: usize,
        /// How many of the last lines a newcomer receives
        #[arg(long, default_value_t = 20)]
        history: usize,
        /// How many lines per second a client may send; 0 for no limit
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        rate: u32,
        /// How many threads run the tasks
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: u16,
    },
    /// Connect to a server
    Client {
        /// The address of the server
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
        /// Your name; without it you are a guest
        #[arg(long)]
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = runtime(&command).and_then(|runtime| runtime.block_on(run(command)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One thread is enough for thousands of tasks that wait, and cheaper than moving tasks between
/// threads.
fn runtime(command: &Command) -> anyhow::Result<Runtime> {
    let mut builder = match command {
        Command::Server { threads, .. } if *threads > 1 => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads((*threads).into());
            builder
        }
        _ => Builder::new_current_thread(),
    };
    builder.enable_all().build().context("cannot start the async runtime")
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server { addr, max_clients, history, rate, .. } => {
            signals::ignore_stops_in_background();
            raise_descriptor_limit();
            let shutdown = signals::on_signal().context("cannot handle signals")?;
            let context = || format!("cannot listen on {addr}");
            let listener = server::bind(&addr).await.with_context(context)?;
            let console = Console::open(io::stdin(), io::stdout())?;
            status(format_args!("listening on {}", listener.local_addr()?));
            let _log = start_log();
            let limits = Limits { max_clients, history, rate };
            server::run(listener, console, shutdown, limits).await.context("the server failed")
        }
        Command::Client { addr, name } => {
            let context = || format!("cannot connect to {addr}");
            let addr = check_address(&addr).with_context(context)?;
            let stream = TcpStream::connect(addr).await.with_context(context)?;
            let (_terminal, console) = open_console()?;
            client::run(stream, console, name).await.context("the chat ended")
        }
    }
}

/// Raises the soft limit of open files to the hard one. Each connection is an open file.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: maximum, maximum };
        // If it fails, the accept loop pauses when descriptors run out.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// The console, with a line editor if stdin and stdout are a terminal. Dropping the terminal
/// restores its settings, so it has to outlive the chat.
fn open_console() -> io::Result<(Option<Terminal>, Console)> {
    let Some((terminal, console)) = Terminal::open()? else {
        return Ok((None, Console::open(io::stdin(), io::stdout())?));
    };
    let console =
        Console { typed: console.typed, output: console.output, printed: console.printed };
    Ok((Some(terminal), console))
}

/// Logs to stderr what `RUST_LOG` asks for, warnings by default. A thread of its own writes, so a
/// full stderr never stops the server. Dropping the guard writes what is queued.
fn start_log() -> WorkerGuard {
    let wanted = env::var("RUST_LOG").unwrap_or_else(|_| "warn".into());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        status(format_args!("RUST_LOG is ignored: {error}"));
        "warn".into()
    });
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LOG).finish(io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
    guard
}
