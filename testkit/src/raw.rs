use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::{PATIENCE, peer};

/// The interval at which [`Raw::round_trips`] measures.
const INTERVAL: Duration = Duration::from_millis(5);

/// The receive buffer of a slow client. Loopback's largest segment fits into two of them.
const SMALL: usize = 64 * 1024;

/// A client without a reading thread, so that the caller decides when it reads.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The name that the server gave it.
    pub(crate) name: String,
    input: BufReader<TcpStream>,
    barriers: u32,
}

impl Raw {
    /// A client that has been greeted, with the OS's default socket buffers.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::greeted(peer::connect(addr))
    }

    /// Many greeted clients, connected a hundred at a time.
    pub(crate) fn crowd(addr: SocketAddr, count: usize) -> Vec<Self> {
        let mut crowd = Vec::new();
        while crowd.len() < count {
            let size = 100.min(count - crowd.len());
            let streams: Vec<_> = (0..size).map(|_| peer::connect(addr)).collect();
            crowd.extend(streams.into_iter().map(Self::greeted));
        }
        crowd
    }

    /// A client with a small receive buffer: when it stops reading, the server notices soon.
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

    /// The same client, after it has changed its room.
    pub(crate) fn joined(mut self, room: &str) -> Self {
        self.send_line(&format!("/join {room}"));
        let entered = format!("* you are in {room}");
        self.until(&entered, |line| line == entered);
        // Its join is announced now. A later one in the same notice would be hidden from it.
        self.round_trip();
        self
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let sent = self.input.get_ref().write_all(bytes.as_ref());
        sent.expect("a server that reads");
    }

    /// Sends a line.
    pub(crate) fn send_line(&self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// The next line, or `None` at EOF.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.input.read_line(&mut line).expect("a line or EOF");
        let whole = line.pop().is_none_or(|last| last == '\n');
        assert!(whole, "EOF after {n} bytes of a line");
        (n > 0).then_some(line)
    }

    /// Waits for a line that `wanted` accepts, and drops the lines before it.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let line = self.next();
            let line = line.unwrap_or_else(|| panic!("EOF instead of {what}"));
            if wanted(&line) {
                return line;
            }
        }
        panic!("{what} did not arrive");
    }

    /// Measures the time between an unknown command and its error reply. Drops the lines before it.
    pub(crate) fn round_trip(&mut self) -> Duration {
        self.barriers += 1;
        let command = format!("/no-such-command-{}", self.barriers);
        let sent = Instant::now();
        self.send_line(&command);
        self.until("the reply to a barrier", |line| {
            line.starts_with("! ") && line.ends_with(&command)
        });
        sent.elapsed()
    }

    /// Measures round trips for `duration`, one every 5 ms.
    ///
    /// A longer round trip delays the ones after it. Those are counted, too, each with the wait
    /// that it would have had: otherwise one long wait would hide them (coordinated omission).
    pub(crate) fn round_trips(&mut self, duration: Duration) -> Latency {
        let start = Instant::now();
        let mut sorted = Vec::new();
        while start.elapsed() < duration {
            let mut waited = Some(self.round_trip());
            while let Some(wait) = waited {
                sorted.push(wait);
                thread::sleep(INTERVAL.saturating_sub(wait));
                waited = wait.checked_sub(INTERVAL);
            }
        }
        sorted.sort_unstable();
        Latency { sorted }
    }

    /// The socket alone. Buffered input is lost.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.input.into_inner()
    }

    /// A second handle, to write from another thread.
    pub(crate) fn writer(&self) -> TcpStream {
        self.input.get_ref().try_clone().expect("a file descriptor")
    }
}

/// Measured round trips.
#[derive(Debug)]
pub(crate) struct Latency {
    sorted: Vec<Duration>,
}

impl Latency {
    /// The time that `percent` of all round trips do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let index = self.sorted.len() * percent / 100;
        self.sorted[index.min(self.sorted.len() - 1)]
    }

    /// Expects half of the round trips below `median`, and 99 of 100 below `p99`.
    pub(crate) fn expect(&self, median: Duration, p99: Duration) {
        let measured = (self.percentile(50), self.percentile(99));
        assert!(
            measured.0 < median && measured.1 < p99,
            "median and p99 are {measured:?}, the longest is {:?}",
            self.percentile(100)
        );
    }
}

/// The result of one non-blocking read.
#[derive(Debug, PartialEq)]
pub(crate) enum Polled {
    Data,
    Empty,
    Eof,
}

/// Reads once, and drops the bytes.
pub(crate) fn poll_read(stream: &mut TcpStream, buf: &mut [u8]) -> Polled {
    match stream.read(buf) {
        Ok(0) => Polled::Eof,
        Ok(_) => Polled::Data,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Polled::Empty,
        Err(_) => Polled::Eof,
    }
}

/// The sockets of `clients`, non-blocking, so that one thread can read them all.
pub(crate) fn nonblocking(clients: Vec<Raw>) -> Vec<TcpStream> {
    let streams = clients.into_iter().map(|client| {
        let stream = client.into_stream();
        stream.set_nonblocking(true).expect("open");
        stream
    });
    streams.collect()
}
