//! Measures the steps on the reader's own machine, beside a bare epoll loop.

use std::{env, io::Write, net::SocketAddr, path::Path, process, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

mod connect;
mod crowd;
mod fanout;
mod idle;
mod latency;
mod primitives;
mod report;
mod server;
mod soak;
mod yardstick;

use report::Table;

const EXAMPLES: &str = "Examples:
  bench all                           everything, into docs/measurements; under five minutes
  bench fanout --senders 20 --rounds 5
  bench latency --clients 10,1000
  bench fanout --addr 127.0.0.1:8080   a line-based server that runs already";

/// Measures threads against tasks on this machine: cargo run --release -p bench -- all
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All of the below, shortened; writes tables and plots into docs/measurements
    All,
    /// Lines delivered a second, and what each costs the server
    Fanout(fanout::Options),
    /// How long a line takes at a fixed rate
    Latency(latency::Options),
    /// Memory, threads and CPU for connections that do nothing
    Idle(idle::Options),
    /// How long it takes to greet many who come at once
    Connect(connect::Options),
    /// A crowd of mixed manners, and whether anything is lost
    Soak(soak::Options),
    /// What threads, tasks, channels and system calls cost by themselves
    Primitives,
    /// Run the bare epoll loop that the steps are compared with
    Yardstick {
        /// Where to listen
        #[arg(default_value = "127.0.0.1:0")]
        addr: SocketAddr,
    },
}

fn main() -> ExitCode {
    testkit::system::raise_descriptor_limit();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    if let Command::Yardstick { addr } = command {
        return yardstick::run(addr);
    }
    build()?;
    match command {
        Command::All => all(),
        command => measure(command)?.print(),
    }
}

fn measure(command: Command) -> anyhow::Result<Table> {
    match command {
        Command::Fanout(options) => fanout::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Connect(options) => connect::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Primitives => primitives::run(),
        Command::All | Command::Yardstick { .. } => bail!("measures nothing by itself"),
    }
}

/// Builds the steps that are measured, beside this program and as it was built.
fn build() -> anyhow::Result<()> {
    let own = env::current_exe()?;
    let release = own.parent().is_some_and(|folder| folder.ends_with("release"));
    anyhow::ensure!(release, "a debug build measures nothing: cargo run --release");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = process::Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--manifest-path"]);
    cargo.arg(manifest);
    for step in ["step3-multiclient", "step4-tokio", "step5-broadcast"] {
        cargo.args(["--package", step]);
    }
    let built = cargo.status().context("cannot run cargo")?;
    anyhow::ensure!(built.success(), "the steps do not build");
    Ok(())
}

/// The parts of `all`: the command line of each, and which of its columns is plotted.
const PARTS: [(&str, usize); 7] = [
    ("fanout --senders 1 --seconds 2", 0),
    ("fanout --senders 20 --seconds 2", 0),
    ("latency --seconds 3", 1),
    ("idle --seconds 3", 0),
    ("connect", 0),
    ("soak --seconds 10", 3),
    ("primitives", 0),
];

fn all() -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?;
    let progress = ProgressBar::new(PARTS.len() as u64).with_style(style);
    for (part, plotted) in PARTS {
        progress.set_message(part);
        progress.tick();
        let words = ["bench"].into_iter().chain(part.split(' '));
        let table = measure(Cli::try_parse_from(words)?.command).context(part)?;
        table.save(plotted)?;
        progress.suspend(|| table.print())?;
        progress.inc(1);
    }
    progress.finish_with_message("figures and plots are in docs/measurements");
    Ok(())
}
