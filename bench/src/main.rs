//! Measures the steps on the reader's own machine, beside a bare epoll loop.

use std::{io::Write, net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand};

mod fanout;
mod idle;
mod server;
mod yardstick;

const EXAMPLES: &str = "Examples:
  bench fanout                       steps 3 and later and the yardstick, in turn
  bench fanout --senders 20 --rounds 5
  bench fanout --addr 127.0.0.1:8080  a line-based server that runs already
  bench idle";

/// Measures the steps on this machine. Build them first: cargo build --release
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lines delivered a second, and what each costs the server
    Fanout(fanout::Options),
    /// Memory for each connection that does nothing
    Idle,
    /// Run the bare epoll loop that the steps are compared with
    Yardstick {
        /// Where to listen
        #[arg(default_value = "127.0.0.1:0")]
        addr: SocketAddr,
    },
}

fn main() -> ExitCode {
    testkit::system::raise_descriptor_limit();
    let result = match Cli::parse().command {
        Command::Fanout(options) => fanout::run(&options),
        Command::Idle => idle::run(),
        Command::Yardstick { addr } => yardstick::run(addr),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
