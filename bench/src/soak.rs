//! A crowd of mixed manners: whoever behaves well loses nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use clap::Args;
use socket2::SockRef;
use testkit::system;

use crate::{crowd::greeting, report::Table, server::Target};

/// How long, and against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds for each server
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A server that runs already, instead of the steps
    #[arg(long)]
    addr: Option<SocketAddr>,
}

const TALKERS: usize = 10;
const SILENT: usize = 130;
const SLOW: usize = 20;
const VANISHING: usize = 20;
const RUDE: usize = 20;

/// How often a talker says something.
const PACE: Duration = Duration::from_millis(20);

/// Lets the crowd loose on each server. Fails if anything is lost.
pub(crate) fn run(options: &Options) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "soak",
        format!(
            "{} clients of mixed manners for {} s",
            TALKERS + SILENT + SLOW + VANISHING + RUDE,
            options.seconds
        ),
        format!("bench soak --seconds {}", options.seconds),
        &["deliveries", "lost", "MiB after a fifth", "MiB at the end"],
    );
    for target in Target::steps(options.addr) {
        let server = target.start()?;
        let time = Duration::from_secs(options.seconds);
        let soaked = soak(server.addr, server.pid(), time).context(target.name())?;
        table.push(target.name(), &soaked);
    }
    Ok(table)
}

/// What all threads share.
struct Show {
    addr: SocketAddr,
    open: AtomicBool,
    heard: AtomicU64,
}

impl Show {
    fn goes_on(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

fn soak(addr: SocketAddr, pid: Option<u32>, time: Duration) -> anyhow::Result<[Option<f64>; 4]> {
    let show = Show { addr, open: AtomicBool::new(true), heard: AtomicU64::new(0) };
    let mut talkers = Vec::new();
    for _ in 0..TALKERS {
        talkers.push(greeted(addr)?);
    }
    let names: Vec<_> = talkers.iter().map(|(_, name)| name.clone()).collect();
    let mut listeners = Vec::new();
    for _ in 0..SILENT {
        listeners.push(greeted(addr)?.0);
    }
    let memory = || Some(system::memory(pid?)? as f64 / f64::from(1 << 20));
    thread::scope(|threads| {
        let (show, names) = (&show, &names);
        let mut well_behaved = Vec::new();
        for stream in listeners {
            well_behaved.push(threads.spawn(move || listen(stream, names, "", show)));
        }
        let mut talking = Vec::new();
        for (stream, name) in &talkers {
            let ears = stream.try_clone()?;
            well_behaved.push(threads.spawn(move || listen(ears, names, name, show)));
            talking.push(threads.spawn(move || talk(stream, show)));
        }
        for n in 0..SLOW + VANISHING + RUDE {
            threads.spawn(move || match n % 3 {
                0 => slow(show),
                1 => vanish(show, n),
                _ => rude(show, n),
            });
        }
        thread::sleep(time / 5);
        let early = memory();
        thread::sleep(time * 4 / 5);
        let late = memory();
        show.open.store(false, Ordering::Relaxed);
        let mut said = 0;
        for talker in talking {
            said += talker.join().map_err(|_| anyhow!("a talker panicked"))??;
        }
        for listener in well_behaved {
            listener.join().map_err(|_| anyhow!("a listener panicked"))??;
        }
        let due = said * (SILENT + TALKERS - 1) as u64;
        let heard = show.heard.load(Ordering::Relaxed);
        Ok([Some(heard as f64), Some(due as f64 - heard as f64), early, late])
    })
}

/// A connection that has been greeted, and its name.
fn greeted(addr: SocketAddr) -> anyhow::Result<(TcpStream, String)> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let name = greeting(&stream)?;
    Ok((stream, name))
}

/// Says numbers, and in the end how many there were.
fn talk(mut stream: &TcpStream, show: &Show) -> anyhow::Result<u64> {
    let mut said = 0;
    while show.goes_on() {
        writeln!(stream, "{said} and some words that are as long as words are")?;
        said += 1;
        thread::sleep(PACE);
    }
    writeln!(stream, "end of {said}")?;
    Ok(said)
}

/// Reads all talkers but itself to their ends, and fails if a line is missing.
fn listen(stream: TcpStream, names: &[String], own: &str, show: &Show) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut next = vec![0_u64; names.len()];
    let mut ended = names.iter().filter(|name| *name == own).count();
    for line in BufReader::new(stream).lines() {
        let line = line.context("a listener")?;
        let Some((name, text)) = line.split_once(": ") else {
            anyhow::ensure!(line.starts_with('*'), "a listener was told {line:?}");
            continue;
        };
        let Some(who) = names.iter().position(|talker| talker == name) else {
            continue;
        };
        if let Some(count) = text.strip_prefix("end of ") {
            anyhow::ensure!(count.parse() == Ok(next[who]), "lines of {name} are lost");
            ended += 1;
        } else {
            let n = text.split(' ').next().and_then(|n| n.parse().ok());
            anyhow::ensure!(n == Some(next[who]), "lines of {name} are lost");
            next[who] += 1;
        }
        if ended == names.len() {
            show.heard.fetch_add(next.iter().sum(), Ordering::Relaxed);
            return Ok(());
        }
    }
    Err(anyhow!("a listener was cut off"))
}

/// Reads a little now and then, and comes back when it is cut.
fn slow(show: &Show) {
    while show.goes_on() {
        let Ok(mut stream) = TcpStream::connect(show.addr) else {
            return;
        };
        while show.goes_on() && stream.read(&mut [0; 100]).is_ok_and(|n| n > 0) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Comes, says something, and goes in one of three ways.
fn vanish(show: &Show, n: usize) {
    for turn in n.. {
        if !show.goes_on() {
            return;
        }
        let Ok(mut stream) = TcpStream::connect(show.addr) else {
            return;
        };
        // Whatever fails here was on its way out.
        let _ = stream.write_all(b"hello\nhalf a li");
        thread::sleep(Duration::from_millis(100));
        let _ = match turn % 3 {
            0 => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
            1 => stream.shutdown(Shutdown::Write),
            _ => stream.write_all(b"\n/exit\n"),
        };
    }
}

/// Sends what nobody asked for.
fn rude(show: &Show, n: usize) {
    let mut bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    bytes.extend_from_slice(b"\n/nope\n/exitx\n\x1b[2J\n");
    bytes.rotate_left(n);
    while show.goes_on() {
        let Ok(mut stream) = TcpStream::connect(show.addr) else {
            return;
        };
        let start = Instant::now();
        while show.goes_on() && start.elapsed() < Duration::from_secs(2) {
            if stream.write_all(&bytes).is_err() {
                break;
            }
            let mut answers = [0; 4096];
            // Reads some of it, so as to stay.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            let _ = stream.read(&mut answers);
        }
    }
}
