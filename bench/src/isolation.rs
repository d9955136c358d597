//! What a slow room costs the clients of another room.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::latency::{self, Times, micros};
use crate::load::{Load, Shape};
use crate::report::Table;
use crate::server::{STEPS, Target};

/// The slow room.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Readers of the slow room, each of which stops once
    #[arg(long, default_value_t = 20)]
    readers: usize,
    /// Seconds for which each of them stops, one measurement after the other
    #[arg(long, value_delimiter = ',', default_value = "0.24,0.45")]
    stops: Vec<f64>,
}

/// Time between two lines in the lobby.
const INTERVAL: Duration = Duration::from_millis(10);

/// Measures the lobby of step 5 while the readers of another room read, and while they stop in turn.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let caption = format!(
        "µs from when a line in the lobby was due, while {} readers of another room stop in turn",
        options.readers
    );
    let columns = ["p50", "p99", "max"];
    let mut table = Table::new("isolation", caption, "the other room").columns(columns);
    let shortest = options.stops.iter().copied().fold(f64::MAX, f64::min);
    let control = ("no reader stops".to_owned(), shortest, false);
    let stopping = options.stops.iter();
    let stopping = stopping.map(|stop| (format!("each stops for {stop} s"), *stop, true));
    for (label, stop, pauses) in std::iter::once(control).chain(stopping) {
        let server = Target::Own(&STEPS[2]).start()?;
        let took = measure(server.addr, options.readers, stop, pauses).context(label.clone())?;
        table.push(label, &[0.5, 0.99, 1.0].map(|q| micros(&took, q)));
    }
    Ok(table)
}

fn measure(addr: SocketAddr, readers: usize, stop: f64, pauses: bool) -> anyhow::Result<Times> {
    let shape = Shape {
        senders: 1,
        receivers: readers,
        rooms: Some(1),
        // An open flood: the talker sends whatever its socket takes.
        window: u64::MAX,
        length: 64,
    };
    let mut load = Load::connect([addr; 2], &shape)?;
    let stop = Duration::try_from_secs_f64(stop)?;
    let lines = (stop * readers as u32).div_duration_f64(INTERVAL) as u32;
    thread::scope(|threads| {
        let room = threads.spawn(move || {
            for reader in 1..=readers {
                load.crowd.paused = pauses.then_some(reader);
                load.talk(stop)?;
            }
            anyhow::Ok(())
        });
        let run = latency::open_loop([addr; 2], 1, INTERVAL, lines);
        room.join().map_err(|_| anyhow!("the load panicked"))?.context("the other room")?;
        Ok(run?.took)
    })
}
