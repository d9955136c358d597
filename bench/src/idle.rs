//! What a connection costs while nothing happens.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use testkit::system;

use crate::{crowd::greeting, report::Table, server::Target};

/// How many do nothing, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many connect, one crowd after the other
    #[arg(long, value_delimiter = ',', default_value = "100,1000,9999")]
    clients: Vec<usize>,
    /// Seconds in which nothing happens
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Measures each step at its sizes.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "idle",
        format!("Connections that are idle for {} s", options.seconds),
        format!("bench idle --seconds {}", options.seconds),
        &["KiB each", "threads", "ms of CPU"],
    );
    for target in Target::steps(None) {
        let mut sizes: Vec<_> = options.clients.clone();
        sizes.iter_mut().for_each(|size| *size = target.most().min(*size));
        sizes.dedup();
        for size in sizes {
            let server = target.start()?;
            let pid = server.pid().context("a process of ours")?;
            let before = system::memory(pid).context("only Linux tells")?;
            let _crowd = gather(server.addr, size)?;
            let used = system::memory(pid).context("a process")? - before;
            let threads = system::threads(pid).context("a process")?;
            let ticks = || system::ticks(pid).context("a process");
            let mut cpu = ticks()?;
            // Whoever was there first is still being told of the last.
            loop {
                thread::sleep(Duration::from_millis(300));
                match ticks()? {
                    now if now == cpu => break,
                    now => cpu = now,
                }
            }
            thread::sleep(Duration::from_secs(options.seconds));
            let cpu = (ticks()? - cpu) * 10;
            let each = used as f64 / 1024.0 / size as f64;
            let values = [each, threads as f64, cpu as f64].map(Some);
            table.push(format!("{}, {size} clients", target.name()), &values);
        }
    }
    Ok(table)
}

/// Connects in hundreds, each of which is greeted before the next.
fn gather(addr: SocketAddr, size: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut crowd = Vec::with_capacity(size);
    while crowd.len() < size {
        for _ in 0..100.min(size - crowd.len()) {
            crowd.push(TcpStream::connect(addr)?);
        }
        greeting(crowd.last().context("a crowd")?)?;
    }
    // Whoever is answered knows that everything before has been dealt with.
    let mut last = crowd.last().context("a crowd")?;
    last.write_all(b"/no-such-command\n")?;
    let mut lines = BufReader::new(last).lines();
    let answered = lines.any(|line| line.is_ok_and(|line| line.starts_with("! ")));
    anyhow::ensure!(answered, "no answer");
    Ok(crowd)
}
