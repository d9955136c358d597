//! One room, a few who talk as fast as they may, and many who listen.

use std::{
    io::{ErrorKind, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use testkit::system;

use crate::{
    crowd::Crowd,
    report::Table,
    server::{SERVERS, Target},
};

/// What to load, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many listen
    #[arg(long, default_value_t = 200)]
    receivers: usize,
    /// How many talk
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// Bytes of a line, its end included
    #[arg(long, default_value_t = 64)]
    length: usize,
    /// Lines that may be on their way, from all senders together
    #[arg(long, default_value_t = 4096)]
    window: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often each server is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only the servers whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// A server that runs already, instead of the steps
    #[arg(long)]
    addr: Option<SocketAddr>,
}

/// Measures the servers in turn, round after round. Gives the medians.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let mut servers: Vec<_> = match options.addr {
        Some(addr) => vec![Target::Running(addr)],
        None => SERVERS.iter().map(Target::Own).collect(),
    };
    let only = options.only.as_deref().unwrap_or_default();
    servers.retain(|server| match server {
        Target::Own((name, ..)) => *name == "yardstick" || name.contains(only),
        Target::Running(_) => true,
    });
    let mut results = vec![Vec::new(); servers.len()];
    for _ in 0..options.rounds {
        for (server, results) in servers.iter().zip(&mut results) {
            let running = server.start()?;
            let result = measure(options, running.addr, running.pid());
            results.push(result.with_context(|| server.name().to_owned())?);
        }
    }
    let Options { receivers, senders, window, length, .. } = options;
    let mut table = Table::new(
        if options.senders == 1 { "fanout" } else { "fanout-many" },
        format!("Fan-out from {senders} to {receivers}"),
        format!(
            "bench fanout --senders {senders} --receivers {receivers} --window {window} --length {length}"
        ),
        &["M deliveries/s", "of yardstick", "ns CPU each", "of yardstick"],
    );
    let yardstick = median(&results[0]);
    for (server, results) in servers.iter().zip(&results) {
        let result = median(results);
        let cpu = |cpu: f64| (cpu > 0.0).then_some(cpu);
        table.push(
            server.name(),
            &[
                Some(result.rate / 1e6),
                options.addr.is_none().then_some(result.rate / yardstick.rate),
                cpu(result.cpu * 1e9),
                cpu(result.cpu / yardstick.cpu),
            ],
        );
    }
    Ok(table)
}

/// Deliveries a second, and seconds of CPU for each.
#[derive(Debug, Clone, Copy)]
struct Result {
    rate: f64,
    cpu: f64,
}

fn median(results: &[Result]) -> Result {
    let middle = |value: fn(&Result) -> f64| {
        let mut values: Vec<_> = results.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Result { rate: middle(|result| result.rate), cpu: middle(|result| result.cpu) }
}

struct Load<'a> {
    options: &'a Options,
    /// The senders first.
    crowd: Crowd,
    /// Bytes that each sender has left to send of what its window allows.
    unsent: Vec<Vec<u8>>,
    sent: u64,
    /// Lines that receivers have read.
    read: u64,
}

fn measure(options: &Options, addr: SocketAddr, pid: Option<u32>) -> anyhow::Result<Result> {
    let mut load = Load {
        options,
        crowd: Crowd::connect(addr, options.senders + options.receivers)?,
        unsent: vec![Vec::new(); options.senders],
        sent: 0,
        read: 0,
    };
    load.crowd.settle()?;
    load.talk(Duration::from_millis(500))?;
    let ticks = || pid.and_then(system::ticks).unwrap_or_default();
    let (read, cpu, start) = (load.read, ticks(), Instant::now());
    load.talk(Duration::from_secs(options.seconds))?;
    let delivered = (load.read - read) as f64;
    let cpu = (ticks() - cpu) as f64 / 100.0;
    let result = Result { rate: delivered / start.elapsed().as_secs_f64(), cpu: cpu / delivered };
    load.drain()?;
    Ok(result)
}

impl Load<'_> {
    fn talk(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.send()?;
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// What was sent arrives, to the last line.
    fn drain(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        let wanted = |load: &Self| load.sent * load.options.receivers as u64;
        while self.read < wanted(self) || self.unsent.iter().any(|unsent| !unsent.is_empty()) {
            self.send_rest()?;
            self.turn(Duration::from_millis(10))?;
            let missing = wanted(self).saturating_sub(self.read);
            anyhow::ensure!(Instant::now() < end, "{missing} deliveries were lost");
        }
        Ok(())
    }

    /// Lets the senders talk, as far as the window allows.
    fn send(&mut self) -> anyhow::Result<()> {
        let senders = self.options.senders as u64;
        let delivered = self.read / self.options.receivers as u64;
        let room = self.options.window.saturating_sub(self.sent - delivered);
        let share = room / senders;
        if room >= self.options.window / 8 {
            let mut line = vec![b'x'; self.options.length];
            line[self.options.length - 1] = b'\n';
            for unsent in self.unsent.iter_mut().filter(|unsent| unsent.is_empty()) {
                *unsent = line.repeat(share as usize);
                self.sent += share;
            }
        }
        self.send_rest()
    }

    fn send_rest(&mut self) -> anyhow::Result<()> {
        for (stream, unsent) in self.crowd.streams.iter_mut().zip(&mut self.unsent) {
            match stream.write(unsent) {
                Ok(n) => drop(unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("a sender"),
            }
        }
        Ok(())
    }

    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        let (read, senders) = (&mut self.read, self.options.senders);
        self.crowd.turn(wait, |n, bytes| {
            if n >= senders {
                *read += memchr::memchr_iter(b'\n', bytes).count() as u64;
            }
        })
    }
}
