//! How the cost of a delivery grows with the receivers, and with the rooms.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::load::{Load, Shape};
use crate::report::{Plot, Table};
use crate::server::{STEPS, Target, Targets};

/// The load.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Clients that receive, one size after the other
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,10000")]
    receivers: Vec<usize>,
    /// Spread 1,000 receivers over these numbers of rooms, each with a sender; step 5 only
    #[arg(long, value_delimiter = ',', conflicts_with = "receivers")]
    rooms: Vec<usize>,
    /// Lines in flight in each room
    #[arg(long, default_value_t = 1024)]
    window: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[command(flatten)]
    targets: Targets,
}

/// Receivers that are spread over rooms.
const RECEIVERS: usize = 1_000;

/// Measures each server at its sizes.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let flight = format!("64-byte lines, {} in flight", options.window);
    if !options.rooms.is_empty() {
        let caption = format!("{RECEIVERS} receivers over some rooms, {flight} in each");
        let columns = ["ns CPU per delivery", "M deliveries/s"];
        let mut table = Table::new("rooms", caption, "rooms").columns(columns);
        for rooms in &options.rooms {
            let [cpu, rate] = measure(options, &Target::Own(&STEPS[2]), RECEIVERS, Some(*rooms))?;
            table.push(rooms.to_string(), &[cpu, rate]);
        }
        return Ok(table);
    }
    let targets = options.targets.with_baseline();
    let caption = format!("ns of CPU per delivery from one sender, {flight}");
    let mut table =
        Table::new("growth", caption, "receivers").columns(targets.iter().map(Target::name));
    table.plot = Plot::Lines;
    for receivers in &options.receivers {
        let mut row = Vec::new();
        for target in &targets {
            row.push(match target.sizes(&[*receivers])[..] {
                [] => f64::NAN,
                _ => measure(options, target, *receivers, None)?[0],
            });
        }
        table.push(receivers.to_string(), &row);
    }
    Ok(table)
}

/// Nanoseconds of CPU per delivery, and millions of deliveries a second.
fn measure(
    options: &Options,
    target: &Target,
    receivers: usize,
    rooms: Option<usize>,
) -> anyhow::Result<[f64; 2]> {
    let server = target.start()?;
    let shape =
        Shape { senders: rooms.unwrap_or(1), receivers, rooms, window: options.window, length: 64 };
    let time = Duration::from_secs(options.seconds);
    let outcome = Load::connect(server.ends(), &shape)
        .and_then(|mut load| load.measure(&server, time))
        .with_context(|| format!("{}, {receivers} receivers", target.name()))?;
    Ok([outcome.cpu * 1e9, outcome.rate / 1e6])
}
