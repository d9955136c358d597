//! How long many take who all come at once.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;

use crate::{crowd::Crowd, report::Table, server::Target};

/// How many come.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many come at once, one crowd after the other
    #[arg(long, value_delimiter = ',', default_value = "100,1000,9999")]
    clients: Vec<usize>,
    /// A server that runs already, instead of the steps
    #[arg(long)]
    addr: Option<SocketAddr>,
}

/// How long a crowd is waited for. Who was turned away tries again after one second, two, four.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks for all connections at once, and waits until each has read its greeting.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "connect",
        format!("Greeting all who come at once, within {} s", PATIENCE.as_secs()),
        "bench connect",
        &["seconds", "greeted", "turned away"],
    );
    for &clients in &options.clients {
        for target in Target::steps(options.addr) {
            let clients = clients.min(target.most());
            let server = target.start()?;
            let dropped = dropped();
            let (greeted, took) = measure(server.addr, clients).context(target.name())?;
            let dropped = self::dropped().zip(dropped).map(|(now, before)| now - before);
            let label = format!("{}, {clients} clients", target.name());
            let values = [took.as_secs_f64(), greeted as f64].map(Some);
            table.push(label, &[values[0], values[1], dropped]);
        }
    }
    Ok(table)
}

/// How many were greeted, and when the last of them was.
fn measure(addr: SocketAddr, clients: usize) -> anyhow::Result<(usize, Duration)> {
    let start = Instant::now();
    let mut crowd = Crowd::rush(addr, clients)?;
    let mut greeted = vec![false; clients];
    let mut missing = clients;
    let mut took = Duration::ZERO;
    while missing > 0 && start.elapsed() < PATIENCE {
        crowd.turn(Duration::from_millis(100), |n, bytes| {
            if !greeted[n] && bytes.starts_with(b"* you are ") {
                greeted[n] = true;
                missing -= 1;
                took = start.elapsed();
            }
        })?;
    }
    Ok((clients - missing, took))
}

/// How many connections the system has turned away since it started, for want of room.
fn dropped() -> Option<f64> {
    let all = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = all.lines().filter(|line| line.starts_with("TcpExt:"));
    let mut names = lines.next()?.split(' ');
    let values: Vec<_> = lines.next()?.split(' ').collect();
    let at = names.position(|name| name == "ListenDrops")?;
    values.get(at)?.parse().ok()
}
