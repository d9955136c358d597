//! The command line of step 6.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use common::check_address;
use line_editor::Terminal;
use step6_cluster::accept::Limits;
use step6_cluster::console::{Console, status};
use step6_cluster::envelope::MAX_CLIENTS;
use step6_cluster::relay::Link;
use step6_cluster::{client, name, server, signals};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::select;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "ADDR is HOST:PORT, by default 127.0.0.1:8080.

Examples:
  step6-cluster server 127.0.0.1:8080 127.0.0.1:8081    two nodes, a and b, in one process
  step6-cluster client 127.0.0.1:8081 --name ann        or: nc 127.0.0.1 8081
  step6-cluster server --relay nats://127.0.0.1:4222 --node a
  step6-cluster server 127.0.0.1:8081 --relay nats://127.0.0.1:4222 --node b
  RUST_LOG=info step6-cluster server";

/// The maximum number of nodes in one process. Their names are `a` to `z`.
const LOCAL_NODES: usize = 26;

/// How many lines of the log may wait for a stderr that nobody reads. More are dropped.
const LOG: usize = 1024;

/// Chat in rooms that span several servers. `/help` lists the commands. `/exit` leaves the chat;
/// typed at the server, it ends the server.
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
        /// The addresses to listen on, one for each node, at most 26; with port 0, the OS chooses a
        /// free port
        #[arg(value_name = "ADDR", default_value = "127.0.0.1:8080", num_args = 1..=LOCAL_NODES)]
        addrs: Vec<String>,
        /// The URL of a NATS server that joins this node with others; then there is one ADDR
        #[arg(long, value_name = "URL", requires = "node")]
        relay: Option<String>,
        /// The name of this node, different from the names of the others
        #[arg(long, value_name = "NAME", requires = "relay", value_parser = name::check_node)]
        node: Option<String>,
        /// A file with the credentials for the NATS server
        #[arg(long, value_name = "FILE", requires = "relay")]
        creds: Option<PathBuf>,
        /// The maximum number of connections of a node, at most 20000, so that its roster fits into
        /// one message
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_CLIENTS)))]
        max_clients: u16,
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
    if let Command::Server { addrs, relay, .. } = &command
        && let Err(error) = check_nodes(addrs, relay.is_some())
    {
        Cli::command().error(ErrorKind::ValueValidation, error).exit();
    }
    let result = runtime(&command).and_then(|runtime| {
        let result = runtime.block_on(run(command));
        // Does not wait for the name of a relay that DNS does not find.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Checks the addresses of several nodes before the first one listens.
fn check_nodes(addrs: &[String], relay: bool) -> Result<(), String> {
    if addrs.len() > 1 {
        for addr in addrs {
            check_address(addr).map_err(|error| format!("{addr}: {error}"))?;
        }
        if relay {
            return Err("--relay takes one ADDR".into());
        }
    }
    Ok(())
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
        Command::Server { addrs, relay, node, creds, max_clients, history, rate, .. } => {
            signals::ignore_stops_in_background();
            raise_descriptor_limit();
            let mut shutdown = signals::on_signal().context("cannot handle signals")?;
            let mut listeners = Vec::new();
            for addr in &addrs {
                let context = || format!("cannot listen on {addr}");
                listeners.push(server::bind(addr).await.with_context(context)?);
            }
            let links = select! {
                links = join(addrs.len(), relay.zip(node), creds) => links?,
                _ = shutdown.recv() => return Ok(()),
            };
            let console = Console::open(io::stdin(), io::stdout())?;
            for listener in &listeners {
                status(format_args!("listening on {}", listener.local_addr()?));
            }
            let _log = start_log();
            let limits = Limits { max_clients: max_clients.into(), history, rate };
            let nodes = listeners.into_iter().zip(links).collect();
            server::run_all(nodes, console, shutdown, limits).await.context("the server failed")
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

/// Joins this node with others through NATS, or `nodes` nodes in this process.
async fn join(
    nodes: usize,
    nats: Option<(String, String)>,
    creds: Option<PathBuf>,
) -> anyhow::Result<Vec<Link>> {
    let Some((url, node)) = nats else {
        return Ok(Link::local(('a'..='z').take(nodes).map(String::from)));
    };
    let link = Link::nats(node, &url, creds.as_deref()).await;
    Ok(vec![link.context("cannot reach the relay")?])
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
