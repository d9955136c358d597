//! What a connection costs while nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use testkit::system;

use crate::crowd::Crowd;
use crate::report::Table;
use crate::server::Targets;

/// How many are idle, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Clients that connect, one size after the other
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    clients: Vec<usize>,
    /// Seconds in which nothing happens
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(flatten)]
    targets: Targets,
}

/// Measures each server at its sizes.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let caption = format!("Connections that are idle for {} s", options.seconds);
    let columns = ["KiB per connection", "threads", "ms CPU"];
    let mut table = Table::new("idle", caption, "").columns(columns);
    for target in options.targets.list() {
        for size in target.sizes(&options.clients) {
            let server = target.start()?;
            let pid = server.pids().first().copied();
            let pid = pid.context("only a server that bench starts can be measured")?;
            let label = format!("{}, {size} clients", target.name());
            let values = measure(server.addr, pid, size, options.seconds).context(label.clone())?;
            table.push(label, &values);
        }
    }
    Ok(table)
}

fn measure(
    addr: std::net::SocketAddr,
    pid: u32,
    size: usize,
    seconds: u64,
) -> anyhow::Result<[f64; 3]> {
    let before = system::memory(pid).context("only Linux tells")?;
    let mut crowd = Crowd::connect(&vec![addr; size])?;
    await_quiet(&mut crowd, pid)?;
    let disconnected = crowd.closed.len();
    anyhow::ensure!(disconnected == 0, "{disconnected} clients disconnected");
    let cpu = system::ticks(pid).context("no CPU time")?;
    thread::sleep(Duration::from_secs(seconds));
    let cpu = system::ticks(pid).context("no CPU time")? - cpu;
    let memory = system::memory(pid).context("no memory")?;
    let each = memory.saturating_sub(before) as f64 / 1024.0 / size as f64;
    let threads = system::threads(pid).context("no threads")?;
    Ok([each, threads as f64, (cpu * 10) as f64])
}

/// Reads notices until none arrive and the server has used no CPU meanwhile.
fn await_quiet(crowd: &mut Crowd, pid: u32) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let before = system::ticks(pid);
        crowd.settle()?;
        if system::ticks(pid) == before {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < end, "the server is not quiet after 60 s");
    }
}
