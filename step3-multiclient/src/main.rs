//! The command line of step 3.

use std::io;
use std::net::TcpStream;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use common::check_address;
use step3_multiclient::console::{Console, status};
use step3_multiclient::{client, server, signals};

const EXAMPLES: &str = "ADDR is HOST:PORT, by default 127.0.0.1:8080.

Examples:
  step3-multiclient server            in one terminal
  step3-multiclient client            in other terminals; or: nc 127.0.0.1 8080
  step3-multiclient server [::1]:9000 --max-clients 20
  step3-multiclient client localhost:9000";

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
        #[arg(long, default_value_t = 1000)]
        max_clients: usize,
    },
    /// Connect to a server
    Client {
        /// The address of the server
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server { addr, max_clients } => {
            signals::ignore_stops_in_background();
            let shutdown = signals::on_signal().context("cannot handle signals")?;
            let context = || format!("cannot listen on {addr}");
            let listener = server::bind(&addr).with_context(context)?;
            let console = Console::open(io::stdin(), io::stdout())?;
            status(format_args!("listening on {}", listener.local_addr()?));
            server::run(listener, console, shutdown, max_clients).context("the server failed")
        }
        Command::Client { addr } => {
            let context = || format!("cannot connect to {addr}");
            let addr = check_address(&addr).with_context(context)?;
            let stream = TcpStream::connect(addr).with_context(context)?;
            let console = Console::open(io::stdin(), io::stdout())?;
            client::run(stream, console).context("the chat ended")
        }
    }
}
