//! Clients of mixed manners: those that keep reading lose nothing, whatever the others do.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use testkit::system;

use crate::crowd::greeting;
use crate::misfits::{self, Show};
use crate::report::Table;
use crate::server::{Server, Targets};

/// How long, and against which server.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds for each server
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[command(flatten)]
    targets: Targets,
}

const TALKERS: usize = 10;
const LISTENERS: usize = 130;

/// Time between two lines of a talker. Ten talkers with 2,000 bytes each send 1 MB a second to
/// everybody, which fills the buffers of a slow reader within seconds, the kernel's 4 MiB too.
const PACE: Duration = Duration::from_millis(20);
const LENGTH: usize = 2_000;

/// How long a listener waits for the next line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the crowd against each server.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let caption = format!(
        "{} clients, of which {} read slowly, vanish or send rubbish, for {} s",
        TALKERS + LISTENERS + misfits::COUNT,
        misfits::COUNT,
        options.seconds
    );
    let columns = [
        "lines lost",
        "deliveries",
        "readers disconnected",
        "slow readers disconnected",
        "MiB after a fifth",
        "MiB at the end",
    ];
    let mut table = Table::new("soak", caption, "").columns(columns);
    for target in options.targets.list() {
        let server = target.start()?;
        let time = Duration::from_secs(options.seconds);
        let soaked = soak(&server, time).with_context(|| target.name())?;
        table.push(target.name(), &soaked);
    }
    Ok(table)
}

fn soak(server: &Server, time: Duration) -> anyhow::Result<[f64; 6]> {
    let addr = server.addr;
    let show = &Show { addr, open: AtomicBool::new(true), evicted: AtomicU64::new(0) };
    let connect = |_| greeted(addr);
    let talkers = (0..TALKERS).map(connect).collect::<anyhow::Result<Vec<_>>>()?;
    let listeners = (0..LISTENERS).map(connect).collect::<anyhow::Result<Vec<_>>>()?;
    let names: Vec<_> = talkers.iter().map(|(_, name)| name.as_str()).collect();
    let memory = || match server.pids().first().copied().and_then(system::memory) {
        Some(bytes) => bytes as f64 / f64::from(1 << 20),
        None => f64::NAN,
    };
    thread::scope(|threads| {
        let names = &names;
        let readers = listeners.iter().chain(&talkers);
        let readers =
            readers.map(|(stream, name)| threads.spawn(move || read(stream, names, name)));
        let readers: Vec<_> = readers.collect();
        let talking = talkers.iter().map(|(stream, _)| threads.spawn(|| talk(stream, show)));
        let talking: Vec<_> = talking.collect();
        for n in 0..misfits::COUNT {
            threads.spawn(move || misfits::run(show, n));
        }
        thread::sleep(time / 5);
        let early = memory();
        thread::sleep(time * 4 / 5);
        let late = memory();
        show.open.store(false, Relaxed);
        let (mut said, mut received, mut disconnected) = (0, 0, 0);
        for talker in talking {
            said += talker.join().map_err(|_| anyhow!("a talker panicked"))?;
        }
        for reader in readers {
            let (lines, ended) = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
            received += lines;
            disconnected += u64::from(!ended);
        }
        let expected = said * (LISTENERS + TALKERS - 1) as u64;
        Ok([
            expected as f64 - received as f64,
            received as f64,
            disconnected as f64,
            show.evicted.load(Relaxed) as f64,
            early,
            late,
        ])
    })
}

/// A connection that has been greeted, and its name.
fn greeted(addr: SocketAddr) -> anyhow::Result<(TcpStream, String)> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let name = greeting(&stream)?;
    Ok((stream, name))
}

/// Says numbers, and at the end that there are no more. Returns how many.
fn talk(mut stream: &TcpStream, show: &Show) -> u64 {
    let words = "x".repeat(LENGTH - 10);
    let mut said = 0;
    while show.goes_on() {
        if writeln!(stream, "{said:08} {words}").is_err() {
            return said;
        }
        said += 1;
        thread::sleep(PACE);
    }
    // If it fails, the readers wait for it in vain and count as disconnected.
    let _ = writeln!(stream, "end");
    said
}

/// Reads the lines of all talkers but itself to their ends. Returns how many, and whether all
/// ended; fails if a line comes twice or out of order.
fn read(stream: &TcpStream, names: &[&str], own: &str) -> anyhow::Result<(u64, bool)> {
    let mut next = vec![0_u64; names.len()];
    let (mut received, mut ended) = (0, 0);
    let talkers = names.iter().filter(|name| **name != own).count();
    let mut lines = BufReader::new(stream).lines();
    while ended < talkers {
        let Some(Ok(line)) = lines.next() else {
            return Ok((received, false));
        };
        let Some((name, text)) = line.split_once(": ") else { continue };
        let Some(talker) = names.iter().position(|talker| *talker == name) else { continue };
        if text == "end" {
            ended += 1;
            continue;
        }
        let n: Option<u64> = text.split(' ').next().and_then(|n| n.parse().ok());
        let n = n.filter(|n| *n >= next[talker]);
        next[talker] = n.with_context(|| format!("not a new line of {name}: {text}"))? + 1;
        received += 1;
    }
    Ok((received, true))
}
