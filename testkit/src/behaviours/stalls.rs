//! Clients that read steadily but too slowly, and clients that stall for a moment (rows 45, 56).

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::slow::{Account, flood_until};
use crate::{Chat, PATIENCE, peer};

/// A small receive buffer. The kernel doubles it; with a large one it would read ahead for the client.
const SMALL: usize = 32 * 1024;

/// How often a steady reader reads.
const TICK: Duration = Duration::from_millis(5);

/// A member that accounts for all lines of one sender.
struct Reader {
    stream: TcpStream,
    account: Account,
    sender: String,
    partial: Vec<u8>,
    /// The last line, if it was an error that is not about missed lines.
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

    /// Reads at most `limit` bytes of those that have arrived. Gives their number.
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
                self.take();
            }
        }
        n
    }

    /// Takes a whole line.
    fn take(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let line = std::str::from_utf8(&line).expect("UTF-8").trim_end();
        assert_eq!(self.error, None, "{line:?} follows the last line");
        match line.starts_with("! ") && !line.starts_with("! missed ") {
            true => self.error = Some(line.into()),
            false => self.account.take(line, &self.sender),
        }
    }

    /// Reads `rate` bytes a second until `end`, or until the server disconnects it.
    fn read_steadily(&mut self, rate: usize, end: Instant) {
        let (mut allowed, mut last) = (0.0, Instant::now());
        while last < end && !self.at_eof {
            thread::sleep(TICK);
            let passed = last.elapsed();
            last += passed;
            // After a long sleep it catches up, but never reads ahead of its rate.
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

    /// Reads as fast as it can until it has accounted for `total` lines, which is not known before
    /// the flood ends, or until the server disconnects it.
    fn read_all(&mut self, total: &AtomicUsize) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while !self.at_eof && self.account.next < total.load(Ordering::Relaxed) {
            let now = Instant::now();
            assert!(now < deadline, "lines never came after {}", self.account.next);
            self.read_fast(now + TICK);
        }
    }

    /// It has read all lines but those that it was told to have missed. Gives the number of these.
    fn stayed(&self, total: usize) -> usize {
        assert!(!self.at_eof, "disconnected: {:?}", self.error);
        assert_eq!(self.account.next, total);
        self.account.missed
    }
}

/// A client's receive buffer, if it is not the OS's choice, and what it does until the flood ends.
type Client<'a> = (Option<usize>, &'a (dyn Fn(&mut Reader, Instant) + Sync));

/// One sender floods for `time` while each client reads in its own way; then all of them read what
/// is left. Gives the readers, and the number of lines sent.
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

/// A client that reads 2 MB a second, whatever is sent, is never disconnected. Up to step 4 it sets
/// the room's pace and reads every line; at step 5 it is told what it missed. (45)
pub fn a_reader_of_two_megabytes_a_second_stays(chat: &Chat) {
    let (readers, total) = flood(
        chat,
        Duration::from_secs(8),
        &[(Some(SMALL), &|reader, end| {
            reader.read_steadily(2_000_000, end);
        })],
    );
    let missed = readers[0].stayed(total);
    assert!(chat.step() == 5 || missed == 0, "{missed} of {total}");
}

/// A client that reads steadily, but not as fast as the room talks, is evicted at the end of a line
/// and with the reason. (45)
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
        // Whether 100 KB/s suffice is up to the server: 64 KiB take such a client 0.65 s.
        if n > 0 && !reader.at_eof {
            assert_eq!(reader.stayed(total), 0);
            continue;
        }
        assert!(reader.at_eof, "35 KB/s should be too slow");
        let partial = String::from_utf8_lossy(&reader.partial);
        assert_eq!(partial, "", "reader {n} ends in mid-line");
        assert_eq!(reader.error.as_deref(), Some("! too slow"), "reader {n}");
        assert_eq!(reader.account.missed, 0);
    }
}

/// A client that reads steadily, but not as fast as the room talks, is told what it missed and is
/// not disconnected. (45)
pub fn a_steady_reader_is_told_what_it_missed(chat: &Chat) {
    let (readers, total) = flood(
        chat,
        // The server disconnects a client that takes nothing for 5 s.
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
        assert!(reader.stayed(total) > 0, "the flood was no faster");
    }
}

/// A client that takes nothing for as long as one retransmission of a lost packet takes, and then
/// everything, loses no line and is not evicted. Up to step 4 it may do so again and again, also for
/// a second retransmission. (56)
pub fn a_short_stall_costs_no_line(chat: &Chat) {
    const READING: Duration = Duration::from_millis(300);
    let stalls: &[u64] = match chat.step() {
        5 => &[250],
        _ => &[250, 250, 250, 250, 600, 600],
    };
    let stalls = || stalls.iter().copied().map(Duration::from_millis);
    let reads_in_between = |reader: &mut Reader, _: Instant| {
        for stall in stalls() {
            let started = Instant::now();
            let before = reader.account.next;
            reader.read_fast(started + READING);
            let read = reader.account.next - before;
            if reader.at_eof {
                return;
            }
            // At this pace, more is said in a stall than the 0.6 MB that the buffers between server
            // and client hold.
            assert!(read > 1000, "the flood is too slow for a stall: {read}");
            thread::sleep(stall);
        }
    };
    let time = stalls().map(|stall| READING + stall).sum();
    let always: Client<'_> = (None, &|_, _| {});
    let (readers, total) = flood(chat, time, &[(Some(SMALL), &reads_in_between), always]);
    for reader in readers {
        assert_eq!(reader.stayed(total), 0, "lines are missing");
    }
}
