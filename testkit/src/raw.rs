use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::{PATIENCE, peer};

/// How often [`Raw::round_trips`] measures.
const EVERY: Duration = Duration::from_millis(5);

/// The receive buffer of a slow client: two are enough for loopback's largest segment.
const SMALL: usize = 64 * 1024;

/// A client without a thread of its own: the caller decides when it reads. So it can measure, and
/// it can be slow.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The name that the server gave it.
    pub(crate) name: String,
    input: BufReader<TcpStream>,
    barriers: u32,
}

impl Raw {
    /// A client that has been greeted, with the system's socket buffers.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::greeted(peer::connect(addr))
    }

    /// Many at once, in hundreds.
    pub(crate) fn crowd(addr: SocketAddr, count: usize) -> Vec<Self> {
        let mut crowd = Vec::new();
        while crowd.len() < count {
            let size = 100.min(count - crowd.len());
            let streams: Vec<_> = (0..size).map(|_| peer::connect(addr)).collect();
            crowd.extend(streams.into_iter().map(Self::greeted));
        }
        crowd
    }

    /// One client with a small receive buffer: when it stops reading, the server notices soon.
    pub(crate) fn slow(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        // The window is negotiated in the handshake.
        socket.set_recv_buffer_size(SMALL).expect("open");
        socket.connect_timeout(&addr.into(), PATIENCE).expect("a server");
        socket.set_tcp_nodelay(true).expect("open");
        Self::greeted(socket.into())
    }

    fn greeted(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("open");
        stream.set_write_timeout(Some(PATIENCE)).expect("open");
        let mut raw = Self {
            name: String::new(),
            input: BufReader::with_capacity(16 * 1024, stream),
            barriers: 0,
        };
        let first = raw.next().expect("a greeting");
        let name = first.strip_prefix("* you are ");
        raw.name = name.unwrap_or_else(|| panic!("no greeting: {first}")).into();
        raw.round_trip();
        raw
    }

    /// The same client, in another room.
    pub(crate) fn joined(mut self, room: &str) -> Self {
        self.say(&format!("/join {room}"));
        let entered = format!("* you are in {room}");
        self.until(&entered, |line| line == entered);
        self
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let sent = self.input.get_ref().write_all(bytes.as_ref());
        sent.expect("a server that reads");
    }

    /// Sends a line.
    pub(crate) fn say(&self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.input.read_line(&mut line).expect("a line or the end");
        let whole = line.pop().is_none_or(|last| last == '\n');
        assert!(whole, "the end after {n} bytes of a line");
        (n > 0).then_some(line)
    }

    /// The first line that `wanted` accepts; the ones before it are dropped.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let line = self.next();
            let line = line.unwrap_or_else(|| panic!("the end instead of {what}"));
            if wanted(&line) {
                return line;
            }
        }
        panic!("{what} did not come");
    }

    /// How long the server takes to answer an unknown command. What it sent before is dropped.
    pub(crate) fn round_trip(&mut self) -> Duration {
        self.barriers += 1;
        let command = format!("/no-such-command-{}", self.barriers);
        let sent = Instant::now();
        self.say(&command);
        self.until("the answer to a barrier", |line| {
            line.starts_with("! ") && line.ends_with(&command)
        });
        sent.elapsed()
    }

    /// Round trips for `duration`, one every 5 ms. A longer one also counts for those that were due
    /// meanwhile: else one long wait would hide all that it delayed (coordinated omission).
    pub(crate) fn round_trips(&mut self, duration: Duration) -> Latency {
        let start = Instant::now();
        let mut sorted = Vec::new();
        while start.elapsed() < duration {
            let mut waited = Some(self.round_trip());
            while let Some(wait) = waited {
                sorted.push(wait);
                thread::sleep(EVERY.saturating_sub(wait));
                waited = wait.checked_sub(EVERY);
            }
        }
        sorted.sort_unstable();
        Latency { sorted }
    }

    /// The socket alone. What is buffered is lost.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.input.into_inner()
    }

    /// A second handle, to write from another thread.
    pub(crate) fn writer(&self) -> TcpStream {
        self.input.get_ref().try_clone().expect("a descriptor")
    }
}

/// Measured round trips.
#[derive(Debug)]
pub(crate) struct Latency {
    sorted: Vec<Duration>,
}

impl Latency {
    /// The round trip that `percent` of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let index = self.sorted.len() * percent / 100;
        self.sorted[index.min(self.sorted.len() - 1)]
    }

    /// Fails unless half of the round trips are shorter than `median` and 99 of 100 shorter than
    /// `p99`.
    pub(crate) fn expect(&self, median: Duration, p99: Duration) {
        let measured = (self.percentile(50), self.percentile(99));
        assert!(
            measured.0 < median && measured.1 < p99,
            "median and p99 are {measured:?}, the longest is {:?}",
            self.percentile(100)
        );
    }
}

/// What a non-blocking socket had to read.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    Bytes,
    Nothing,
    End,
}

/// Reads once. The bytes are dropped.
pub(crate) fn take(stream: &mut TcpStream, buf: &mut [u8]) -> Taken {
    match stream.read(buf) {
        Ok(0) => Taken::End,
        Ok(_) => Taken::Bytes,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Taken::Nothing,
        Err(_) => Taken::End,
    }
}

/// The sockets of clients for which one thread reads.
pub(crate) fn nonblocking(clients: Vec<Raw>) -> Vec<TcpStream> {
    let streams = clients.into_iter().map(|client| {
        let stream = client.into_stream();
        stream.set_nonblocking(true).expect("open");
        stream
    });
    streams.collect()
}
