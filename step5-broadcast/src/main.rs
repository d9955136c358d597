//! The command line of step 5.

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
#[cfg(unix)]
use step5_broadcast::terminal::Terminal;
use step5_broadcast::{
    client::{self, Console},
    ear::Rate,
    log,
    server::{self, Limits},
};
use tokio::{net::TcpStream, runtime::Builder};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "Examples:
  step5-broadcast server            in one terminal
  step5-broadcast client --name ann in others; or: nc 127.0.0.1 8080
  step5-broadcast server [::1]:9000 --max-clients 20
  step5-broadcast client localhost:9000
  RUST_LOG=info step5-broadcast server";

/// Chat in rooms, under names. `/help` tells more; `/exit` leaves, and typed into the server, it
/// ends the chat.
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
        /// Where to listen; port 0 takes any free one
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
        /// How many may be here at once
        #[arg(long, default_value_t = 10_000)]
        max_clients: usize,
        /// How many lines a newcomer reads of what was said before
        #[arg(long, default_value_t = 20)]
        history: usize,
        /// How many lines a second a client may say; 0 for no limit
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        rate: u32,
        /// How many threads run the tasks
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: u16,
    },
    /// Chat on a server
    Client {
        /// Where the server listens
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
        /// Under which name; without one you are a guest
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
            log(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One thread is enough for thousands who wait, and cheaper than handing tasks from one to another.
fn runtime(command: &Command) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        Command::Server { threads, .. } if *threads > 1 => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads((*threads).into());
            builder
        }
        _ => Builder::new_current_thread(),
    };
    builder.enable_all().build().context("cannot start")
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server {
            addr,
            max_clients,
            history,
            rate,
            threads,
        } => {
            let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(io::stderr)
                .with_ansi(false)
                .log_internal_errors(false)
                .init();
            let limits = Limits {
                max_clients,
                history,
                rate: Rate {
                    lines: rate,
                    burst: 10 * rate,
                },
                // On many threads, a second place would let few fast readers set the pace.
                places: if threads == 1 { 2 } else { 1 },
            };
            server::raise_descriptor_limit();
            let shutdown = server::on_signal().context("cannot handle signals")?;
            let listener = server::bind(&addr)
                .await
                .with_context(|| format!("cannot listen on {addr}"))?;
            let console = Console::open(io::stdin(), io::stdout())?;
            log(format_args!("listening on {}", listener.local_addr()?));
            server::run(listener, console, shutdown, limits)
                .await
                .context("the server failed")
        }
        Command::Client { addr, name } => {
            let stream = TcpStream::connect(&addr)
                .await
                .with_context(|| format!("cannot connect to {addr}"))?;
            let (_terminal, console) = open_console()?;
            client::run(stream, console, name)
                .await
                .context("the chat ended")
        }
    }
}

/// A terminal with a line editor, whose guard has to outlive the chat; or else plain lines.
#[cfg(unix)]
fn open_console() -> io::Result<(Option<Terminal>, Console)> {
    match Terminal::open()? {
        Some((terminal, console)) => Ok((Some(terminal), console)),
        None => Ok((None, Console::open(io::stdin(), io::stdout())?)),
    }
}

#[cfg(not(unix))]
fn open_console() -> io::Result<((), Console)> {
    Ok(((), Console::open(io::stdin(), io::stdout())?))
}
