//! One room, in which a few clients send as fast as they may and many receive.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::load::{Load, Outcome, Shape};
use crate::report::{Plot, Table};
use crate::server::{Target, Targets};

/// The load.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Clients that only receive
    #[arg(long, default_value_t = 200)]
    receivers: usize,
    /// Clients that send
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// More clients, which never read. The baseline is measured without them: it has no answer
    #[arg(long, default_value_t = 0)]
    mute: usize,
    /// Lines in flight, from all senders together; a huge number makes an open flood, and several
    /// make a table of throughput against them
    #[arg(long, value_delimiter = ',', default_value = "4096")]
    window: Vec<u64>,
    /// Bytes of a line, with its LF
    #[arg(long, default_value_t = 64)]
    length: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Measurements of each server, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    targets: Targets,
}

/// Measures the servers in turn, round after round. The table has the medians.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    match options.window[..] {
        [window] => one_window(options, window),
        _ => windows(options),
    }
}

fn caption(options: &Options) -> String {
    let Options { senders, receivers, length, .. } = options;
    let mute = match options.mute {
        0 => String::new(),
        mute => format!(" and {mute} that never read"),
    };
    let plural = if *senders == 1 { "" } else { "s" };
    format!(
        "Fan-out of {length}-byte lines from {senders} sender{plural} to {receivers} receivers{mute}"
    )
}

/// The name of a table, which is also that of its files.
fn name(options: &Options, name: &str) -> String {
    match options.senders {
        1 => name.into(),
        _ => format!("{name}-many"),
    }
}

fn one_window(options: &Options, window: u64) -> anyhow::Result<Table> {
    let targets = options.targets.with_baseline();
    let caption = format!("{}, {window} lines in flight", caption(options));
    let columns = [
        "M deliveries/s",
        "of baseline",
        "ns CPU per delivery",
        "of baseline",
        "peak MiB",
        "lines lost",
        "clients disconnected",
    ];
    let mut table = Table::new(&name(options, "fanout"), caption, "").columns(columns);
    let results = rounds(options, &targets, window)?;
    let baseline = results[0];
    for (target, result) in targets.iter().zip(results) {
        table.push(
            target.name(),
            &[
                result.rate / 1e6,
                result.rate / baseline.rate,
                result.cpu * 1e9,
                result.cpu / baseline.cpu,
                result.peak / f64::from(1 << 20),
                result.lost,
                result.disconnected,
            ],
        );
    }
    Ok(table)
}

fn windows(options: &Options) -> anyhow::Result<Table> {
    let targets = options.targets.with_baseline();
    let caption = format!("{}, M deliveries/s", caption(options));
    let mut table = Table::new(&name(options, "window"), caption, "lines in flight")
        .columns(targets.iter().map(Target::name));
    table.plot = Plot::Lines;
    for window in &options.window {
        let results = rounds(options, &targets, *window)?;
        let rates: Vec<_> = results.iter().map(|result| result.rate / 1e6).collect();
        table.push(window.to_string(), &rates);
    }
    Ok(table)
}

/// Measures each target `rounds` times.
fn rounds(options: &Options, targets: &[Target], window: u64) -> anyhow::Result<Vec<Outcome>> {
    let mut results = vec![Vec::new(); targets.len()];
    for _ in 0..options.rounds.max(1) {
        for (n, (target, results)) in targets.iter().zip(&mut results).enumerate() {
            let mute = if n == 0 { 0 } else { options.mute };
            let result = measure(options, target, mute, window);
            results.push(result.with_context(|| target.name())?);
        }
    }
    Ok(results.iter().map(|results| median(results)).collect())
}

fn measure(
    options: &Options,
    target: &Target,
    mute: usize,
    window: u64,
) -> anyhow::Result<Outcome> {
    let server = target.start()?;
    let shape = Shape {
        senders: options.senders,
        receivers: options.receivers,
        rooms: None,
        window,
        length: options.length,
    };
    let mutes = (0..mute).map(|_| TcpStream::connect(server.addr));
    let _mutes = mutes.collect::<Result<Vec<_>, _>>()?;
    let mut load = Load::connect(server.ends(), &shape)?;
    load.measure(&server, Duration::from_secs(options.seconds))
}

/// The medians of speed and memory, and the worst of the rest.
pub(crate) fn median(results: &[Outcome]) -> Outcome {
    let sorted = |value: fn(&Outcome) -> f64| {
        let mut values: Vec<_> = results.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    // Of an even number of results, the mean of the middle two.
    let middle = |value| {
        let (sorted, count) = (sorted(value), results.len());
        f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2])
    };
    let most = |value| sorted(value)[results.len() - 1];
    Outcome {
        rate: middle(|result| result.rate),
        cpu: middle(|result| result.cpu),
        peak: middle(|result| result.peak),
        lost: most(|result| result.lost),
        told: most(|result| result.told),
        disconnected: most(|result| result.disconnected),
    }
}
