//! How long it takes to greet many clients that connect at once.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use crate::crowd::Crowd;
use crate::report::Table;
use crate::server::Targets;

/// How many connect.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Clients that connect at once, one size after the other
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    clients: Vec<usize>,
    #[command(flatten)]
    targets: Targets,
}

/// How soon a client should be greeted.
const SOON: Duration = Duration::from_secs(2);

/// How long greetings are waited for. A dropped SYN is sent again after 1 s, then 2, then 4.
const PATIENCE: Duration = Duration::from_secs(8);

/// Starts all connections at once, and waits until each client has been greeted.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let caption = "Clients that connect at once and are greeted; the counters of the kernel are \
                   packets of the whole system";
    let columns = [
        "% greeted within 2 s",
        "s until the last greeting",
        "clients not greeted within 8 s",
        "ListenOverflows",
        "TCPSynRetrans",
    ];
    let mut table = Table::new("connect", caption, "").columns(columns);
    for &clients in &options.clients {
        for target in options.targets.with_baseline() {
            for clients in target.sizes(&[clients]) {
                let server = target.start()?;
                let before = counters();
                let mut greeted = measure(server.addr, clients).with_context(|| target.name())?;
                let after = counters();
                greeted.sort_unstable();
                let soon = greeted.partition_point(|took| *took <= SOON);
                table.push(
                    format!("{}, {clients} clients", target.name()),
                    &[
                        100.0 * soon as f64 / clients as f64,
                        greeted.last().map_or(f64::NAN, Duration::as_secs_f64),
                        (clients - greeted.len()) as f64,
                        after[0] - before[0],
                        after[1] - before[1],
                    ],
                );
            }
        }
    }
    Ok(table)
}

/// When each client that was greeted was.
fn measure(addr: SocketAddr, clients: usize) -> anyhow::Result<Vec<Duration>> {
    let start = Instant::now();
    let mut crowd = Crowd::rush(addr, clients)?;
    let mut heads = vec![Vec::new(); clients];
    let mut greeted = Vec::new();
    while greeted.len() < clients && start.elapsed() < PATIENCE {
        crowd.turn(Duration::from_millis(100), |n, bytes| {
            let head: &mut Vec<u8> = &mut heads[n];
            let wanted = GREETING.len().saturating_sub(head.len());
            head.extend_from_slice(&bytes[..wanted.min(bytes.len())]);
            if wanted > 0 && head == GREETING {
                greeted.push(start.elapsed());
            }
        })?;
    }
    Ok(greeted)
}

const GREETING: &[u8] = b"* you are ";

/// The kernel's count of connections for which the backlog had no room, and of SYNs sent again.
fn counters() -> [f64; 2] {
    let all = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = all.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next(), lines.next());
    let fields = |line: Option<&'_ str>| -> Vec<String> {
        let fields = line.unwrap_or_default().split(' ');
        fields.map(str::to_owned).collect()
    };
    let (names, values) = (fields(names), fields(values));
    ["ListenOverflows", "TCPSynRetrans"].map(|wanted| {
        let at = names.iter().position(|name| name == wanted);
        let value = at.and_then(|at| values.get(at)?.parse().ok());
        value.unwrap_or(f64::NAN)
    })
}
