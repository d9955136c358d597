//! The command line of step 1.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use common::lines;
use step1_channels::console::status;
use step1_channels::{client, peer};

const EXAMPLES: &str = "Examples:
  step1-channels                        each line you type comes back; /exit leaves
  printf 'one\\ntwo\\n' | step1-channels  the same with piped input";

/// Chat with a thread of the same process, over two bounded channels.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {}

fn main() -> ExitCode {
    let Cli {} = Cli::parse();
    match client::run(lines(io::stdin()), io::stdout(), peer::run).context("the chat ended") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
