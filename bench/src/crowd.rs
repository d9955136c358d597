//! Many connections on one thread, so that the load costs less than the server that it loads.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Connections that are read as soon as they have something to read.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) streams: Vec<TcpStream>,
    /// A client that is not read for now.
    pub(crate) paused: Option<usize>,
    /// Clients that the server has disconnected.
    pub(crate) closed: BTreeSet<usize>,
    poll: Poll,
    events: Events,
    buf: Vec<u8>,
    /// Clients that may have something to read. Sockets are edge-triggered: each is reported once.
    ready: BTreeSet<usize>,
    /// Clients whose end of stream has arrived, behind what is still to be read.
    ending: BTreeSet<usize>,
}

impl Crowd {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            streams: Vec::new(),
            paused: None,
            closed: BTreeSet::new(),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buf: vec![0; 256 * 1024],
            ready: BTreeSet::new(),
            ending: BTreeSet::new(),
        })
    }

    /// Connects a client to each address, a hundred at a time: the backlog never overflows.
    pub(crate) fn connect(addrs: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut crowd = Self::new()?;
        for (n, addr) in addrs.iter().enumerate() {
            let stream = std::net::TcpStream::connect(addr).context("cannot connect")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            crowd.add(TcpStream::from_std(stream))?;
            if n % 100 == 99 || n + 1 == addrs.len() {
                crowd.await_greeting(n)?;
            }
        }
        Ok(crowd)
    }

    /// Starts `size` connections at once.
    pub(crate) fn rush(addr: SocketAddr, size: usize) -> anyhow::Result<Self> {
        let mut crowd = Self::new()?;
        for _ in 0..size {
            crowd.add(TcpStream::connect(addr).context("cannot connect")?)?;
        }
        Ok(crowd)
    }

    fn add(&mut self, mut stream: TcpStream) -> anyhow::Result<()> {
        let token = Token(self.streams.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest)?;
        self.streams.push(stream);
        Ok(())
    }

    /// Reads until client `n` has received something. A server that does not greet costs 2 s.
    fn await_greeting(&mut self, n: usize) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(2);
        let mut greeted = false;
        while !greeted && Instant::now() < end {
            self.turn(Duration::from_millis(20), |client, _| greeted |= client == n)?;
        }
        Ok(())
    }

    /// Reads greetings and notices until nothing has arrived for 300 ms.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        let mut last = Instant::now();
        while last.elapsed() < Duration::from_millis(300) {
            anyhow::ensure!(Instant::now() < end, "the room is not quiet after 60 s");
            self.turn(Duration::from_millis(20), |_, _| last = Instant::now())?;
        }
        Ok(())
    }

    /// Reads once from each socket that has something, so that no client waits for another. An
    /// empty slice says that the server has disconnected the client.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        mut read: impl FnMut(usize, &[u8]),
    ) -> anyhow::Result<()> {
        let waiting = self.ready.iter().all(|n| Some(*n) == self.paused);
        let wait = if waiting { wait } else { Duration::ZERO };
        self.poll.poll(&mut self.events, Some(wait))?;
        for event in &self.events {
            let n = event.token().0;
            let ending = event.is_read_closed() || event.is_error();
            if ending {
                self.ending.insert(n);
            }
            if ending || event.is_readable() {
                self.ready.insert(n);
            }
        }
        for n in std::mem::take(&mut self.ready) {
            if Some(n) == self.paused {
                self.ready.insert(n);
            } else if !self.closed.contains(&n) {
                self.read(n, &mut read);
            }
        }
        Ok(())
    }

    fn read(&mut self, n: usize, read: &mut impl FnMut(usize, &[u8])) {
        match self.streams[n].read(&mut self.buf) {
            Ok(bytes @ 1..) => {
                read(n, &self.buf[..bytes]);
                // A short read has emptied the socket, so the next bytes are reported again.
                if bytes == self.buf.len() || self.ending.contains(&n) {
                    self.ready.insert(n);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0..) | Err(_) => {
                self.closed.insert(n);
                read(n, &[]);
            }
        }
    }
}

/// Waits until a blocking connection has been greeted, and reads no further. Returns its name.
pub(crate) fn greeting(stream: &std::net::TcpStream) -> anyhow::Result<String> {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line)?;
    let name = line.trim_end().strip_prefix("* you are ");
    Ok(name.with_context(|| format!("no greeting: {line}"))?.into())
}
