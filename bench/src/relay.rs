//! What a relay costs: a client of one node sends, and the clients of another node receive.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use testkit::Nats;

use crate::fanout::median;
use crate::latency::{Times, micros, open_loop, times};
use crate::load::{Load, Outcome, Shape};
use crate::process::Process;
use crate::report::Table;
use crate::server::{BASELINE, STEP6, STEPS, Server};

/// The load.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Clients that only receive
    #[arg(long, default_value_t = 200)]
    receivers: usize,
    /// Lines in flight while deliveries are counted
    #[arg(long, default_value_t = 4096)]
    window: u64,
    /// Lines per second while latency is measured
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Measurements of each server, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measure only the rows whose name contains this: `NATS`
    #[arg(long)]
    only: Option<String>,
}

type Start = fn() -> anyhow::Result<Server>;

/// The name of each row, and how its server starts.
const ROWS: [(&str, Start); 6] = [
    ("baseline", || BASELINE.start(&[])),
    (REFERENCE, || STEPS[2].start(&[])),
    ("step 6, one node", || STEP6.start(&[])),
    ("step 6, a to b, local", || STEP6.start(&["127.0.0.1:0"])),
    ("step 6, a to b, NATS", start_with_nats),
    (FLOOD, start_with_nats),
];

/// The row that the speed of the others is compared with.
const REFERENCE: &str = "step 5";

/// The row without a window: the sender's node is faster than the receivers' node, and lines are
/// lost. What is late is not measured, as it only grows.
const FLOOD: &str = "step 6, a to b, NATS, open flood";

/// What the measurements of one server have in common, and their results.
struct Series {
    name: String,
    /// None: it cannot be measured here.
    start: Option<Start>,
    loads: Vec<Outcome>,
    took: Times,
    late: Times,
    /// Deliveries that were lost while the latency was measured, and how many of them the server
    /// has reported.
    lost: [u64; 2],
}

/// Measures the servers in turn, round after round. The table has the medians.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let Options { receivers, window, rate, .. } = options;
    let caption = format!(
        "64-byte lines from 1 sender to {receivers} receivers, {window} in flight; latency at \
         {rate} per second"
    );
    let columns = [
        "M deliveries/s",
        "of step 5",
        "ns CPU per delivery",
        "deliveries lost",
        "of them reported",
        "p50, µs",
        "p99, µs",
        "sender late, p99, µs",
    ];
    let mut table = Table::new("relay", caption, "").columns(columns);
    let only = options.only.as_deref().unwrap_or_default();
    let rows = ROWS.iter().filter(|(name, _)| name.contains(only));
    let mut rows: Vec<_> = rows.map(|row| Series::new(*row)).collect::<Result<_, _>>()?;
    for _ in 0..options.rounds.max(1) {
        for series in &mut rows {
            series.measure(options).with_context(|| series.name.clone())?;
        }
    }
    let reference = rows.iter().find(|series| series.name == REFERENCE);
    let reference = reference.map_or(f64::NAN, |series| median(&series.loads).rate);
    for series in &rows {
        table.push(&series.name, &series.values(reference));
    }
    Ok(table)
}

impl Series {
    fn new((name, start): (&str, Start)) -> anyhow::Result<Self> {
        let (mut name, mut start) = (name.to_owned(), Some(start));
        if name.contains("NATS") && Nats::installed().is_none() {
            (name, start) = (format!("{name} (no nats-server)"), None);
        }
        let (took, late) = (times()?, times()?);
        Ok(Self { name, start, loads: Vec::new(), took, late, lost: [0; 2] })
    }

    /// Measures deliveries, and then latency, against a fresh server.
    fn measure(&mut self, options: &Options) -> anyhow::Result<()> {
        let Some(start) = self.start else { return Ok(()) };
        let Options { receivers, rate, seconds, .. } = *options;
        let flood = self.name == FLOOD;
        let window = if flood { u64::MAX } else { options.window };
        let server = start()?;
        let shape = Shape { senders: 1, receivers, rooms: None, window, length: 64 };
        let mut load = Load::connect(server.ends(), &shape)?;
        self.loads.push(load.measure(&server, Duration::from_secs(seconds.into()))?);
        if flood {
            return Ok(());
        }
        drop((load, server));
        let server = start()?;
        let interval = Duration::from_secs(1) / rate;
        let run = open_loop(server.ends(), receivers, interval, rate * seconds)?;
        self.took.add(&run.took)?;
        self.late.add(&run.late)?;
        self.lost = [self.lost[0] + run.missing, self.lost[1] + run.told];
        Ok(())
    }

    fn values(&self, reference: f64) -> [f64; 8] {
        if self.loads.is_empty() {
            return [f64::NAN; 8];
        }
        let load = median(&self.loads);
        [
            load.rate / 1e6,
            load.rate / reference,
            load.cpu * 1e9,
            load.lost + self.lost[0] as f64,
            load.told + self.lost[1] as f64,
            micros(&self.took, 0.5),
            micros(&self.took, 0.99),
            micros(&self.late, 0.99),
        ]
    }
}

/// Starts two nodes, each in a process, and the NATS server that joins them.
fn start_with_nats() -> anyhow::Result<Server> {
    let program = OsStr::new(Nats::installed().context("nats-server is not installed")?);
    // With port -1, it chooses a free port.
    let (nats, addrs) = Process::start(program, &["--addr", "127.0.0.1", "--port", "-1"], 1)?;
    let url = format!("nats://{}", addrs[0]);
    let node = |name| STEP6.start(&["--relay", &url, "--node", name]);
    let (mut server, far) = (node("a")?, node("b")?);
    server.far = far.addr;
    server.processes.extend(far.processes);
    server.processes.push(nats);
    Ok(server)
}
