//! The command line of step 4.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use common::check_address;
use step4_tokio::console::{Console, status};
use step4_tokio::{client, server, signals};
use tokio::net::TcpStream;

const EXAMPLES: &str = "ADDR is HOST:PORT, by default 127.0.0.1:8080.

Examples:
  step4-tokio server            in one terminal
  step4-tokio client            in other terminals; or: nc 127.0.0.1 8080
  step4-tokio server [::1]:9000 --max-clients 20
  step4-tokio client localhost:9000";

/// Chat with many people. `/exit` leaves the chat; typed at the server, it ends the server.
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
    },
    /// Connect to a server
    Client {
        /// The address of the server
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
    },
}

// One thread is enough for thousands of tasks that wait, and cheaper than moving tasks between
// threads. `tokio::spawn` still asks for `Send`: it does not know how many threads there are.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server { addr, max_clients } => {
            signals::ignore_stops_in_background();
            let shutdown = signals::on_signal().context("cannot handle signals")?;
            let context = || format!("cannot listen on {addr}");
            let listener = server::bind(&addr).await.with_context(context)?;
            let console = Console::open(io::stdin(), io::stdout())?;
            status(format_args!("listening on {}", listener.local_addr()?));
            server::run(listener, console, shutdown, max_clients).await.context("the server failed")
        }
        Command::Client { addr } => {
            let context = || format!("cannot connect to {addr}");
            let addr = check_address(&addr).with_context(context)?;
            let stream = TcpStream::connect(addr).await.with_context(context)?;
            let console = Console::open(io::stdin(), io::stdout())?;
            client::run(stream, console).await.context("the chat ended")
        }
    }
}
