//! Clients that read steadily but slowly, and clients that stall briefly (rows 45, 56).

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::slow::{Account, flood_until};
use crate::{Chat, PATIENCE, peer};

/// A small receive buffer, which Linux doubles. A large one would hide how slowly the client reads.
const SMALL: usize = 32 * 1024;

/// The interval between the reads of a steady reader.
const TICK: Duration = Duration::from_millis(5);

/// A client that counts the lines received from one sender.
struct Reader {
    stream: TcpStream,
    account: Account,
    sender: String,
    partial: Vec<u8>,
    /// The last line, if it was an error other than `missed N lines`.
    error: Option<String>,
    at_eof: bool,
}

impl Reader {
    fn new(addr: SocketAddr, sender: &str, buffer: Option<usize>) -> Self {
        let mut stream = peer::connect_with(addr, buffer);
        let greeting = peer::read_line(&mut stream);
        assert!(greeting.starts_with("* you are "), "{greeting}");
        stream.set_nonblocking(true).expect("open");
        Self {
            stream,
            account: Account::default(),
            sender: sender.into(),
            partial: Vec::new(),
            error: None,
            at_eof: false,
        }
    }

    /// Reads at most `limit` bytes that have arrived. Returns their number.
    fn read(&mut self, limit: usize) -> usize {
        let mut buf = [0; 64 * 1024];
        let limit = limit.min(buf.len());
        let n = match self.stream.read(&mut buf[..limit]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
            read => read.expect("a connection that is not reset"),
        };
        self.at_eof |= n == 0 && limit > 0;
        for piece in buf[..n].split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.take_line();
            }
        }
        n
    }

    /// Counts a complete line.
    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let line = std::str::from_utf8(&line).expect("UTF-8").trim_end();
        assert_eq!(self.error, None, "{line:?} follows the last line");
        if line.starts_with("! ") && !line.starts_with("! missed ") {
            self.error = Some(line.into());
        } else {
            self.account.add(line, &self.sender);
        }
    }

    /// Reads `rate` bytes a second until `end`, or until the server disconnects it.
    fn read_steadily(&mut self, rate: usize, end: Instant) {
        let (mut allowed, mut last) = (0.0, Instant::now());
        while last < end && !self.at_eof {
            thread::sleep(TICK);
            let passed = last.elapsed();
            last += passed;
            // After a long sleep it catches up, but at most a quarter of a second's bytes.
            allowed = (allowed + rate as f64 * passed.as_secs_f64()).min(rate as f64 / 4.0);
            loop {
                let n = self.read(allowed as usize);
                allowed -= n as f64;
                if n == 0 {
                    break;
                }
            }
        }
    }

    /// Reads as fast as it can until `end`, or until the server disconnects it.
    fn read_fast(&mut self, end: Instant) {
        while !self.at_eof && Instant::now() < end {
            if self.read(usize::MAX) == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Reads as fast as it can until it has counted `total` lines, or until the server disconnects
    /// it. The flooding thread sets `total` at its end.
    fn read_all(&mut self, total: &AtomicUsize) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while !self.at_eof && self.account.next < total.load(Ordering::Relaxed) {
            let now = Instant::now();
            assert!(now < deadline, "no more lines after {}", self.account.next);
            self.read_fast(now + TICK);
        }
    }

    /// Expects that the reader is connected and has counted `total` lines. Returns how many of them
    /// it missed.
    fn expect_connected(&self, total: usize) -> usize {
        assert!(!self.at_eof, "disconnected: {:?}", self.error);
        assert_eq!(self.account.next, total);
        self.account.missed
    }
}

/// The receive buffer of a client (`None` for the OS's default), and how it reads during the flood.
type Client<'a> = (Option<usize>, &'a (dyn Fn(&mut Reader, Instant) + Sync));

/// Floods from one sender for `time` while each client reads in its own way. Afterwards all clients
/// read the rest. Returns the readers, and the number of lines sent.
fn flood(chat: &Chat, time: Duration, clients: &[Client<'_>]) -> (Vec<Reader>, usize) {
    let server = chat.server();
    let sender = server.peer();
    let mut readers: Vec<_> =
        clients.iter().map(|(buffer, _)| Reader::new(server.addr, &sender.name, *buffer)).collect();
    let total = AtomicUsize::new(usize::MAX);
    let end = Instant::now() + time;
    thread::scope(|threads| {
        for (reader, (_, behave)) in readers.iter_mut().zip(clients) {
            let total = &total;
            threads.spawn(move || {
                behave(reader, end);
                reader.read_all(total);
            });
        }
        total.store(flood_until(sender.writer(), end), Ordering::Relaxed);
    });
    (readers, total.into_inner())
}

/// A client that reads 2 MB a second stays connected in a flood. Up to step 4 it slows the senders
/// down and receives every line; at step 5 it receives the number of missed lines. (45)
pub fn a_reader_of_two_megabytes_a_second_stays_connected(chat: &Chat) {
    let (readers, total) = flood(
        chat,
        Duration::from_secs(8),
        &[(Some(SMALL), &|reader, end| {
            reader.read_steadily(2_000_000, end);
        })],
    );
    let missed = readers[0].expect_connected(total);
    assert!(chat.step() == 5 || missed == 0, "{missed} of {total}");
}

/// A client that reads steadily but too slowly is evicted at the end of a line, with the reason.
/// (45)
pub fn a_steady_reader_is_evicted_at_the_end_of_a_line(chat: &Chat) {
    let (readers, total) = flood(
        chat,
        Duration::from_secs(6),
        &[
            (Some(SMALL), &|reader, end| reader.read_steadily(35_000, end)),
            (Some(SMALL), &|reader, end| {
                reader.read_steadily(100_000, end);
            }),
            (None, &|reader, end| reader.read_steadily(100_000, end)),
        ],
    );
    for (n, reader) in readers.iter().enumerate() {
        // 100 KB/s may be enough, depending on the server: such a client reads 64 KiB in 0.65 s.
        if n > 0 && !reader.at_eof {
            assert_eq!(reader.expect_connected(total), 0);
            continue;
        }
        assert!(reader.at_eof, "35 KB/s should be too slow");
        let partial = String::from_utf8_lossy(&reader.partial);
        assert_eq!(partial, "", "reader {n} ends in mid-line");
        assert_eq!(reader.error.as_deref(), Some("! too slow"), "reader {n}");
        assert_eq!(reader.account.missed, 0);
    }
}

/// A client that reads steadily but too slowly receives the number of missed lines, and stays
/// connected. (45)
pub fn a_steady_reader_receives_the_missed_count(chat: &Chat) {
    let (readers, total) = flood(
        chat,
        // Longer than the 5 s after which the server disconnects a client that reads nothing.
        Duration::from_secs(8),
        &[
            (Some(SMALL), &|reader, end| reader.read_steadily(35_000, end)),
            (Some(SMALL), &|reader, end| {
                reader.read_steadily(100_000, end);
            }),
            (None, &|reader, end| reader.read_steadily(100_000, end)),
        ],
    );
    for reader in readers {
        assert!(reader.expect_connected(total) > 0, "the flood was too slow");
    }
}

/// A client that reads nothing for 250 ms, and then everything, loses no line and is not evicted.
/// Up to step 4 this holds for several stalls, and for stalls of 600 ms. (56)
///
/// These are the delays after one and two retransmissions of a lost packet.
pub fn a_short_stall_costs_no_line(chat: &Chat) {
    const READING: Duration = Duration::from_millis(300);
    let stalls: &[u64] = match chat.step() {
        5 => &[250],
        _ => &[250, 250, 250, 250, 600, 600],
    };
    let stalls = || stalls.iter().copied().map(Duration::from_millis);
    let stall_between_reads = |reader: &mut Reader, _: Instant| {
        for stall in stalls() {
            let started = Instant::now();
            let before = reader.account.next;
            reader.read_fast(started + READING);
            let read = reader.account.next - before;
            if reader.at_eof {
                return;
            }
            // At this rate, more is sent during a stall than the 0.6 MB that the buffers between
            // server and client hold.
            assert!(read > 1000, "the flood is too slow for a stall: {read}");
            thread::sleep(stall);
        }
    };
    let time = stalls().map(|stall| READING + stall).sum();
    let always: Client<'_> = (None, &|_, _| {});
    let (readers, total) = flood(chat, time, &[(Some(SMALL), &stall_between_reads), always]);
    for reader in readers {
        assert_eq!(reader.expect_connected(total), 0, "lines are missing");
    }
}
