//! Many connections on one thread, which is what keeps the load cheaper than what it loads.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, ErrorKind, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

/// Connections that are read whenever they have something.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) streams: Vec<TcpStream>,
    poll: Poll,
    events: Events,
    buf: Vec<u8>,
    /// Who may have more to read.
    ready: BTreeSet<usize>,
}

impl Crowd {
    /// Connects `size` clients, one after the other.
    pub(crate) fn connect(addr: SocketAddr, size: usize) -> anyhow::Result<Self> {
        let mut crowd = Self {
            streams: Vec::with_capacity(size),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buf: vec![0; 256 * 1024],
            ready: BTreeSet::new(),
        };
        for _ in 0..size {
            // Blocking, so that each is there before the next, and greetings stay few.
            let stream = std::net::TcpStream::connect(addr).context("cannot connect")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            crowd.add(TcpStream::from_std(stream))?;
        }
        Ok(crowd)
    }

    /// Asks for `size` connections at once.
    pub(crate) fn rush(addr: SocketAddr, size: usize) -> anyhow::Result<Self> {
        let mut crowd = Self::connect(addr, 0)?;
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

    /// Reads greetings and notices until there are no more.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(200) {
            self.turn(Duration::from_millis(20), |_, _| quiet = Instant::now())?;
        }
        Ok(())
    }

    /// Reads once from each socket that has something: nobody is kept waiting for another.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        mut read: impl FnMut(usize, &[u8]),
    ) -> anyhow::Result<()> {
        let wait = if self.ready.is_empty() { wait } else { Duration::ZERO };
        self.poll.poll(&mut self.events, Some(wait))?;
        let readable = self.events.iter().filter(|event| event.is_readable());
        self.ready.extend(readable.map(|event| event.token().0));
        for n in std::mem::take(&mut self.ready) {
            match self.streams[n].read(&mut self.buf) {
                Ok(0) => anyhow::bail!("client {n} was cut off"),
                Ok(bytes) => {
                    read(n, &self.buf[..bytes]);
                    // Told once, when it becomes ready: who is not read to the end is remembered.
                    self.ready.insert(n);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).with_context(|| format!("client {n}")),
            }
        }
        Ok(())
    }
}

/// Waits until a blocking connection has been greeted, and reads no further. Gives its name.
pub(crate) fn greeting(stream: &std::net::TcpStream) -> anyhow::Result<String> {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line)?;
    let name = line.trim_end().strip_prefix("* you are ");
    Ok(name.with_context(|| format!("no greeting: {line}"))?.into())
}
