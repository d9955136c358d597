//! How long a line takes, at a rate that no server has trouble with.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use hdrhistogram::Histogram;

use crate::crowd::{Crowd, greeting};
use crate::missed::reported;
use crate::report::Table;
use crate::server::Targets;

/// What is sent, and to how many.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lines per second
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Clients that receive, one size after the other
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    clients: Vec<usize>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    #[command(flatten)]
    targets: Targets,
}

/// A timer of epoll is rounded up to a millisecond, so this last part of a wait is spun.
const SPIN: Duration = Duration::from_millis(1);

/// Nanoseconds, up to a minute.
pub(crate) type Times = Histogram<u64>;

/// No times yet.
pub(crate) fn times() -> anyhow::Result<Times> {
    Ok(Histogram::new_with_max(60_000_000_000, 3)?)
}

fn record(times: &mut Times, time: Duration) {
    times.saturating_record(time.as_nanos() as u64);
}

/// The quantile `q`, in microseconds.
pub(crate) fn micros(times: &Times, q: f64) -> f64 {
    match times.is_empty() {
        true => f64::NAN,
        false => times.value_at_quantile(q) as f64 / 1e3,
    }
}

/// Measures a blocking pair, then the sizes, against each server.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let caption = format!("µs from when a line was due, {} per second", options.rate);
    let columns =
        ["p50", "p99", "p99.9", "max", "sender late, p50", "sender late, p99", "lines lost"];
    let mut table = Table::new("latency", caption, "").columns(columns);
    let interval = Duration::from_secs(1) / options.rate;
    let lines = options.rate * options.seconds;
    let targets = options.targets.with_baseline();
    let mut push = |label, took: &Times, late: &Times, lost| {
        let mut row = [0.5, 0.99, 0.999, 1.0].map(|q| micros(took, q)).to_vec();
        row.extend([micros(late, 0.5), micros(late, 0.99), lost]);
        table.push(label, &row);
    };
    for target in &targets {
        let server = target.start()?;
        let (took, late) = blocking(server.addr, interval, lines).with_context(|| target.name())?;
        push(format!("{}, blocking pair", target.name()), &took, &late, 0.0);
    }
    for &clients in &options.clients {
        for target in &targets {
            for clients in target.sizes(&[clients]) {
                let server = target.start()?;
                let Run { took, late, missing, .. } =
                    open_loop(server.ends(), clients, interval, lines)
                        .with_context(|| target.name())?;
                let label = format!("{}, {clients} clients", target.name());
                push(label, &took, &late, missing as f64);
            }
        }
    }
    Ok(table)
}

/// Sends `lines` lines over one blocking socket and waits for each at another. The clock starts
/// when a line is due, so a line that waits for the one before it is charged with the wait.
/// Returns what the lines took, and how late they were sent.
fn blocking(addr: SocketAddr, interval: Duration, lines: u32) -> anyhow::Result<(Times, Times)> {
    let (mut sender, receiver) = (TcpStream::connect(addr)?, TcpStream::connect(addr)?);
    greeting(&sender)?;
    greeting(&receiver)?;
    sender.set_nodelay(true)?;
    receiver.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut received = BufReader::new(receiver).split(b'\n');
    let (mut took, mut late) = (times()?, times()?);
    let start = Instant::now() + interval;
    for n in 0..lines {
        let due = start + interval * n;
        thread::sleep(due.saturating_duration_since(Instant::now() + SPIN));
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        record(&mut late, due.elapsed());
        writeln!(sender, "{n:08}")?;
        loop {
            let line = received.next().context("disconnected")??;
            if number(&line) == Some(n) {
                break;
            }
        }
        record(&mut took, due.elapsed());
    }
    Ok((took, late))
}

/// The state of an open loop: what is sent when does not depend on what arrives.
pub(crate) struct Run {
    start: Instant,
    interval: Duration,
    pub(crate) took: Times,
    pub(crate) late: Times,
    /// Deliveries that are still expected.
    pub(crate) missing: u64,
    /// Those of them that the server has reported as missed.
    pub(crate) told: u64,
    /// What each client has received of a line.
    partial: Vec<Vec<u8>>,
}

/// Sends each line when it is due, however long those before it take, and counts from when it was
/// due. So a server that stalls is charged with every line that has to wait: otherwise the sender
/// would wait along with it and measure only one ("coordinated omission"). The sender connects to
/// the first address, the receivers to the second.
pub(crate) fn open_loop(
    [near, far]: [SocketAddr; 2],
    clients: usize,
    interval: Duration,
    lines: u32,
) -> anyhow::Result<Run> {
    let mut crowd = Crowd::connect(&[vec![near], vec![far; clients]].concat())?;
    crowd.settle()?;
    let mut run = Run {
        start: Instant::now() + interval,
        interval,
        took: times()?,
        late: times()?,
        missing: u64::from(lines) * clients as u64,
        told: 0,
        partial: vec![Vec::new(); clients + 1],
    };
    let end = run.start + interval * lines + Duration::from_secs(5);
    let mut sent = 0;
    while run.missing > run.told && Instant::now() < end {
        let due = run.start + interval * sent;
        let wait = due.saturating_duration_since(Instant::now());
        if sent == lines {
            crowd.turn(interval, |n, bytes| run.receive(n, bytes))?;
        } else if wait.is_zero() {
            record(&mut run.late, due.elapsed());
            // A fresh socket buffer has room for all that a second needs.
            writeln!(crowd.streams[0], "{sent:08}").context("the sender")?;
            sent += 1;
        } else {
            crowd.turn(wait.saturating_sub(SPIN), |n, bytes| run.receive(n, bytes))?;
        }
    }
    Ok(run)
}

impl Run {
    fn receive(&mut self, n: usize, bytes: &[u8]) {
        let now = Instant::now();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = &mut self.partial[n];
            line.extend_from_slice(piece);
            let Some(text) = line.strip_suffix(b"\n") else { continue };
            // The baseline echoes to the sender, which is client 0.
            if let Some(number) = number(text).filter(|_| n > 0) {
                let due = self.start + self.interval * number;
                record(&mut self.took, now.saturating_duration_since(due));
                self.missing -= 1;
            }
            self.told += reported(text).unwrap_or_default();
            line.clear();
        }
    }
}

/// The eight digits at the end of a line, if it is one of ours.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.get(text.len().checked_sub(8)?..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
