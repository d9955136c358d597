//! One room, a few who talk as fast as they may, and many who listen.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use testkit::system;

use crate::server::{SERVERS, Server};

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

/// Measures the servers in turn, round after round, and prints the medians.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if let Some(addr) = options.addr {
        let result = measure(options, addr, None)?;
        writeln!(out, "{:.2} M deliveries/s", result.rate / 1e6)?;
        return Ok(());
    }
    let only = options.only.as_deref().unwrap_or_default();
    let wanted = |name: &str| name == "yardstick" || name.contains(only);
    let servers: Vec<_> = SERVERS.iter().filter(|server| wanted(server.0)).collect();
    let mut results = vec![Vec::new(); servers.len()];
    for _ in 0..options.rounds {
        for ((name, program, args), results) in servers.iter().zip(&mut results) {
            let server = Server::start(program, args)?;
            results.push(measure(options, server.addr, Some(server.pid())).context(*name)?);
        }
    }
    writeln!(
        out,
        "{:10} {:>16} {:>7} {:>16} {:>7}",
        "", "M deliveries/s", "ratio", "ns CPU/delivery", "ratio"
    )?;
    let yardstick = median(&results[0]);
    for ((name, ..), results) in servers.iter().zip(&results) {
        let result = median(results);
        writeln!(
            out,
            "{name:10} {:>16.2} {:>7.2} {:>16.0} {:>7.2}",
            result.rate / 1e6,
            result.rate / yardstick.rate,
            result.cpu * 1e9,
            result.cpu / yardstick.cpu,
        )?;
    }
    Ok(())
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
    Result {
        rate: middle(|result| result.rate),
        cpu: middle(|result| result.cpu),
    }
}

struct Load<'a> {
    options: &'a Options,
    poll: Poll,
    events: Events,
    buf: Vec<u8>,
    /// The senders first.
    streams: Vec<TcpStream>,
    /// Bytes that each sender has left to send of what its window allows.
    unsent: Vec<Vec<u8>>,
    sent: u64,
    /// Lines that receivers have read.
    read: u64,
    /// Who may have more to read.
    ready: BTreeSet<usize>,
}

fn measure(options: &Options, addr: SocketAddr, pid: Option<u32>) -> anyhow::Result<Result> {
    let poll = Poll::new()?;
    let mut streams = Vec::new();
    for n in 0..options.senders + options.receivers {
        // Blocking, so that each is there before the next, and greetings stay few.
        let stream = std::net::TcpStream::connect(addr).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(n), interest)?;
        streams.push(stream);
    }
    let mut load = Load {
        options,
        poll,
        events: Events::with_capacity(1024),
        buf: vec![0; 256 * 1024],
        streams,
        unsent: vec![Vec::new(); options.senders],
        sent: 0,
        read: 0,
        ready: BTreeSet::new(),
    };
    load.settle()?;
    load.talk(Duration::from_millis(500))?;
    let ticks = || pid.and_then(system::ticks).unwrap_or_default();
    let (read, cpu, start) = (load.read, ticks(), Instant::now());
    load.talk(Duration::from_secs(options.seconds))?;
    let delivered = (load.read - read) as f64;
    let cpu = (ticks() - cpu) as f64 / 100.0;
    let result = Result {
        rate: delivered / start.elapsed().as_secs_f64(),
        cpu: cpu / delivered,
    };
    load.drain()?;
    Ok(result)
}

impl Load<'_> {
    /// Reads greetings and notices until there are no more.
    fn settle(&mut self) -> anyhow::Result<()> {
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(200) {
            let before = self.read;
            self.turn(Duration::from_millis(20))?;
            if self.read != before {
                quiet = Instant::now();
            }
        }
        self.read = 0;
        Ok(())
    }

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
        for (stream, unsent) in self.streams.iter_mut().zip(&mut self.unsent) {
            match stream.write(unsent) {
                Ok(n) => drop(unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("a sender"),
            }
        }
        Ok(())
    }

    /// Reads once from each socket that has something: nobody is kept waiting for another.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        let wait = if self.ready.is_empty() {
            wait
        } else {
            Duration::ZERO
        };
        self.poll.poll(&mut self.events, Some(wait))?;
        let readable = self.events.iter().filter(|event| event.is_readable());
        self.ready.extend(readable.map(|event| event.token().0));
        for n in std::mem::take(&mut self.ready) {
            match self.streams[n].read(&mut self.buf) {
                Ok(0) => anyhow::bail!("client {n} was cut off"),
                Ok(read) => {
                    if n >= self.options.senders {
                        let lines = memchr::memchr_iter(b'\n', &self.buf[..read]).count();
                        self.read += lines as u64;
                    }
                    // Told once, when it becomes ready: who is not read to the end is remembered.
                    self.ready.insert(n);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("a receiver"),
            }
        }
        Ok(())
    }
}
