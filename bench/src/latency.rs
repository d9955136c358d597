//! How long a line takes, at a rate that nobody has trouble with.

use std::{
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use hdrhistogram::Histogram;

use crate::{crowd::Crowd, report::Table, server::Target};

/// What to send, and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lines a second
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// How many listen, one after the other
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    clients: Vec<usize>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// A server that runs already, instead of the steps
    #[arg(long)]
    addr: Option<SocketAddr>,
}

/// Sends a line whenever one is due, however long those before take, and counts from when it was
/// due: a server that stalls is charged with all that had to wait.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "latency",
        format!("Microseconds from when a line was due, {} a second", options.rate),
        format!("bench latency --rate {}", options.rate),
        &["p50", "p99", "p99.9", "most"],
    );
    for &clients in &options.clients {
        for target in Target::steps(options.addr) {
            let clients = clients.min(target.most() - 1);
            let server = target.start()?;
            let took = measure(options, server.addr, clients).context(target.name())?;
            let micros = |nanos: u64| Some(nanos as f64 / 1e3);
            let quantiles = [0.5, 0.99, 0.999, 1.0].map(|q| micros(took.value_at_quantile(q)));
            table.push(format!("{}, {clients} clients", target.name()), &quantiles);
        }
    }
    Ok(table)
}

fn measure(options: &Options, addr: SocketAddr, clients: usize) -> anyhow::Result<Histogram<u64>> {
    let mut crowd = Crowd::connect(addr, clients + 1)?;
    crowd.settle()?;
    let interval = Duration::from_secs(1) / options.rate;
    let lines = options.rate * options.seconds;
    let start = Instant::now() + interval;
    // Up to a minute, in nanoseconds.
    let mut took = Histogram::new_with_max(60_000_000_000, 3)?;
    let mut partial = vec![Vec::new(); clients + 1];
    let mut sent = 0;
    let mut missing = u64::from(lines) * clients as u64;
    let end = start + interval * lines + Duration::from_secs(10);
    while missing > 0 {
        let now = Instant::now();
        anyhow::ensure!(now < end, "{missing} deliveries were lost");
        let due = start + interval * sent;
        if sent < lines && now >= due {
            // A fresh socket buffer has room for all that a second needs.
            writeln!(crowd.streams[0], "{sent:08}").context("the sender")?;
            sent += 1;
            continue;
        }
        let wait = if sent < lines { due - now } else { interval };
        crowd.turn(wait, |n, bytes| {
            let now = Instant::now();
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                let line: &mut Vec<u8> = &mut partial[n];
                line.extend_from_slice(piece);
                if line.last() != Some(&b'\n') {
                    continue;
                }
                if let Some(number) = number(line) {
                    let took_it = now.saturating_duration_since(start + interval * number);
                    took.saturating_record(took_it.as_nanos() as u64);
                    missing -= 1;
                }
                line.clear();
            }
        })?;
    }
    Ok(took)
}

/// The eight digits at the end of a line, if it is one of ours.
fn number(line: &[u8]) -> Option<u32> {
    let text = line.strip_suffix(b"\n")?;
    let digits = text.get(text.len().checked_sub(8)?..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
