//! The command line of step 2.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use common::{check_address, lines};
use step2_tcp::console::status;
use step2_tcp::{client, server};

const EXAMPLES: &str = "ADDR is HOST:PORT, by default 127.0.0.1:8080.

Examples:
  step2-tcp server            in one terminal
  step2-tcp client            in another terminal; or: nc 127.0.0.1 8080
  step2-tcp server [::1]:9000
  step2-tcp client localhost:9000";

/// Chat one to one over TCP. `/exit` on either side ends both.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Wait for one client and chat with it
    Server {
        /// The address to listen on; with port 0, the OS chooses a free port
        #[arg(default_value = "127.0.0.1:8080")]
        addr: String,
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
        Command::Server { addr } => {
            let context = || format!("cannot listen on {addr}");
            let addr = check_address(&addr).with_context(context)?;
            let listener = TcpListener::bind(addr).with_context(context)?;
            status(format_args!("listening on {}", listener.local_addr()?));
            server::run(listener, io::stdin(), io::stdout()).context("the chat ended")
        }
        Command::Client { addr } => {
            let context = || format!("cannot connect to {addr}");
            let addr = check_address(&addr).with_context(context)?;
            let stream = TcpStream::connect(addr).with_context(context)?;
            client::run(stream, lines(io::stdin()), io::stdout()).context("the chat ended")
        }
    }
}
