//! Measures the steps on the reader's own machine, beside a bare epoll loop.

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

mod baseline;
mod connect;
mod crowd;
mod docs;
mod fanout;
mod growth;
mod idle;
mod isolation;
mod latency;
mod load;
mod misfits;
mod missed;
mod plot;
mod primitives;
mod process;
mod relay;
mod report;
mod server;
mod soak;
mod window;

use report::Table;

const EXAMPLES: &str = "Examples:
  bench all                            everything, into docs/measurements; about six minutes
  bench all isolation                  one part of it
  bench fanout --senders 20 --rounds 5
  bench fanout --window 64,1024,16384  throughput against lines in flight
  bench fanout --mute 5 --only 5       step 5, with five clients that never read
  bench fanout --program target/release/mine,target/release/examples/epoll
  bench idle --program target/release/mine --clients 1000
  bench latency --clients 10,1000
  bench relay --only NATS              two nodes, joined by a nats-server of its own
  bench fanout --addr 127.0.0.1:8080   a line-based server that already runs";

/// Measures threads against tasks on this machine: cargo run --release -p bench -- all
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All of the below, shortened; writes figures, plots and tables into docs
    All {
        /// Measure only the parts whose command line contains this: `isolation`
        part: Option<String>,
    },
    /// Deliveries per second, and what each costs the server
    Fanout(fanout::Options),
    /// How the cost of a delivery grows with receivers and with rooms
    Growth(growth::Options),
    /// How long a line takes at a fixed rate
    Latency(latency::Options),
    /// What a slow room costs the clients of another room, at step 5
    Isolation(isolation::Options),
    /// What a relay between two nodes costs, at step 6
    Relay(relay::Options),
    /// Memory, threads and CPU of connections that do nothing
    Idle(idle::Options),
    /// How long it takes to greet many clients that connect at once
    Connect(connect::Options),
    /// Clients of mixed manners, and whether those that keep reading lose anything
    Soak(soak::Options),
    /// What threads, tasks, channels and system calls cost by themselves
    Primitives,
    /// Run the bare epoll loop that the steps are compared with
    Baseline {
        /// Where to listen
        #[arg(default_value = "127.0.0.1:0")]
        addr: SocketAddr,
    },
    /// Make the tables and plots of docs/measurements.md again, from the stored figures
    Docs,
}

fn main() -> ExitCode {
    testkit::system::raise_descriptor_limit();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves no place to report to.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Baseline { addr } => return baseline::run(addr),
        Command::Docs => return docs::update(),
        _ => build()?,
    }
    if let Command::All { part } = command {
        return all(&part.unwrap_or_default());
    }
    let mut table = measure(command)?;
    let args: Vec<_> = env::args().skip(1).collect();
    table.command = format!("bench {}", args.join(" "));
    Ok(write!(io::stdout(), "{}", table.markdown())?)
}

fn measure(command: Command) -> anyhow::Result<Table> {
    match command {
        Command::Fanout(options) => fanout::run(&options),
        Command::Growth(options) => growth::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::Isolation(options) => isolation::run(&options),
        Command::Relay(options) => relay::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Connect(options) => connect::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Primitives => primitives::run(),
        Command::All { .. } | Command::Baseline { .. } | Command::Docs => bail!("measures nothing"),
    }
}

/// Builds the steps that are measured, beside this program and as it was built.
fn build() -> anyhow::Result<()> {
    let own = env::current_exe()?;
    let release = own.parent().is_some_and(|folder| folder.ends_with("release"));
    anyhow::ensure!(release, "a debug build measures nothing: cargo run --release");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo =
        std::process::Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--manifest-path"]);
    cargo.arg(manifest);
    for step in ["step3-multiclient", "step4-tokio", "step5-broadcast", "step6-cluster"] {
        cargo.args(["--package", step]);
    }
    let built = cargo.status().context("cannot run cargo")?;
    anyhow::ensure!(built.success(), "the steps do not build");
    Ok(())
}

/// The command lines of `all`.
const PARTS: [&str; 12] = [
    "fanout --seconds 1",
    "fanout --senders 20 --seconds 1",
    "fanout --window 64,256,1024,4096,16384 --seconds 1 --rounds 1",
    "growth --seconds 1",
    "growth --rooms 1,10,100 --seconds 1",
    "latency --seconds 2",
    "isolation",
    "relay --seconds 1 --rounds 2",
    "idle --clients 1000,10000 --seconds 2",
    "connect",
    "soak --seconds 6",
    "primitives",
];

/// Measures all parts. One that fails does not stop the others, but the whole.
fn all(only: &str) -> anyhow::Result<()> {
    let parts = PARTS.iter().filter(|part| part.contains(only));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")?;
    let progress = ProgressBar::new(parts.clone().count() as u64).with_style(style);
    progress.enable_steady_tick(Duration::from_millis(500));
    let mut failed = Vec::new();
    for part in parts {
        progress.set_message(*part);
        let words = ["bench"].into_iter().chain(part.split(' '));
        match measure(Cli::try_parse_from(words)?.command) {
            Ok(mut table) => {
                table.command = format!("bench {part}");
                table.save()?;
                progress.suspend(|| writeln!(io::stdout(), "{}", table.markdown()))?;
            }
            Err(error) => failed.push(format!("{part}: {error:#}")),
        }
        progress.inc(1);
    }
    progress.finish_with_message("figures, plots and tables are in docs");
    docs::update()?;
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
