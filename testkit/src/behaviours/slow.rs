//! Clients that read too slowly or send too fast, at step 5 (rows 16, 32, 54).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, PATIENCE, peer};

/// The length of numbered lines.
pub(super) const LENGTH: usize = 1000;

/// A line that begins with its number, for [`Account`].
pub(super) fn numbered(n: usize) -> String {
    format!("{n:09} {}\n", "x".repeat(LENGTH - 11))
}

/// Sends numbered lines until `end`, as fast as the server reads them. Returns their number.
pub(super) fn flood_until(mut writer: TcpStream, end: Instant) -> usize {
    const CHUNK: usize = 64;
    // The test fails, rather than hangs, if the server stops reading.
    writer.set_write_timeout(Some(PATIENCE)).expect("open");
    let mut sent = 0;
    while Instant::now() < end {
        let lines: String = (sent..sent + CHUNK).map(numbered).collect();
        writer.write_all(lines.as_bytes()).expect("a server that reads");
        sent += CHUNK;
    }
    sent
}

/// The lines that a client has received, and those that the server reported as missed.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) received: usize,
    pub(super) missed: usize,
    /// The number of the next line.
    pub(super) next: usize,
}

impl Account {
    /// Counts a line. Fails if it is a line of `sender`, but not the next one.
    pub(super) fn add(&mut self, line: &str, sender: &str) {
        let missed = line.strip_prefix("! missed ");
        if let Some(missed) = missed.and_then(|missed| missed.strip_suffix(" lines")) {
            let missed: usize = missed.parse().expect("a number");
            assert!(missed > 0);
            self.missed += missed;
            self.next += missed;
        } else if let Some(text) = line.strip_prefix(sender) {
            let n: usize = text[2..11].parse().expect("a number");
            assert_eq!(n, self.next, "the gap is not where it was reported");
            assert_eq!(text.len(), LENGTH + 1, "a line is not whole");
            self.received += 1;
            self.next += 1;
        } else {
            assert!(line.starts_with("* "), "{line}");
        }
    }
}

/// A client that pauses during a flood receives `missed N lines` at the position of the gap.
/// Received and missed lines add up to the number of lines sent. (16)
pub fn a_client_that_pauses_receives_the_missed_count(chat: &Chat) {
    const LINES: usize = 30_000;
    let server = chat.server();
    let mut sender = server.peer();
    let mut pausers: Vec<_> = (0..3).map(|_| peer::connect(server.addr)).collect();
    for pauser in &mut pausers {
        while peer::read_line(pauser) != "* you are in lobby" {}
    }
    let mut accounts: Vec<_> = pausers.iter().map(|_| Account::default()).collect();
    for round in 1..=2 {
        let mut writer = sender.writer();
        for n in (round - 1) * LINES..round * LINES {
            writer.write_all(numbered(n).as_bytes()).expect("open");
        }
        sender.sync();
        for (pauser, account) in pausers.iter_mut().zip(&mut accounts) {
            // A request, so that the reply marks the end of the lines sent before.
            pauser.write_all(b"/who\n").expect("open");
            pauser.set_read_timeout(Some(PATIENCE)).expect("open");
            // Nothing follows the reply, so dropping the buffer loses nothing.
            let mut lines = BufReader::new(pauser).lines();
            let reply = loop {
                let line = lines.next().expect("a line, not EOF").expect("a line");
                if line.starts_with("* 5 in lobby: ") {
                    break line;
                }
                account.add(&line, &sender.name);
            };
            assert!(reply.contains(&sender.name));
        }
        for account in &accounts {
            assert_eq!(account.received + account.missed, round * LINES);
            assert!(account.missed > 0, "the pause was too short");
        }
    }
}

/// A client that never reads is disconnected, and the log gives the reason. (16)
pub fn a_client_that_never_reads_is_disconnected(chat: &Chat) {
    let mut server = chat.server();
    let mut ann = server.peer();
    let mut stalled = peer::connect(server.addr);
    let greeting = peer::read_line(&mut stalled);
    let name = greeting.strip_prefix("* you are ").expect("a greeting");
    let left = format!("* {name} left");
    let mut bob = server.peer();
    let mut writer = bob.writer();
    let flooding = thread::spawn(move || {
        for n in 0..30_000 {
            writer.write_all(numbered(n).as_bytes()).expect("open");
        }
    });
    ann.lines.until(&left, |line| line == left);
    flooding.join().expect("no panic");
    bob.sync();
    let log = server.process.stderr.find(|line| line.contains("disconnected")).expect("a reason");
    assert!(log.contains("127.0.0.1"), "{log}");
}

/// A client over its rate limit is delayed, not dropped: all its lines arrive, and other clients
/// are not delayed. (32)
pub fn a_client_over_its_rate_is_delayed_not_dropped(chat: &Chat) {
    let server = chat.server_with(&["--rate", "20"]);
    let mut ann = server.peer();
    let mut bob = server.peer();
    let mut flooder = server.peer();
    let started = Instant::now();
    let lines: String = (0..240).map(|n| format!("{n}\n")).collect();
    flooder.send(&lines);
    let over_here = format!("{}: over here", bob.name);
    bob.send_line("over here");
    let (mut received, _) = ann.lines.until(&over_here, |line| line == over_here);
    assert!(started.elapsed() < Duration::from_secs(1));
    let last = format!("{}: 239", flooder.name);
    let (more, last) = ann.lines.until(&last, |line| line == last);
    // 200 at once, and then 20 a second.
    assert!(started.elapsed() > Duration::from_millis(1900));
    received.extend(more);
    received.push(last);
    let prefix = format!("{}: ", flooder.name);
    let numbers = received.iter().filter_map(|line| line.strip_prefix(&prefix));
    let numbers: Vec<usize> = numbers.map(|n| n.parse().expect("a number")).collect();
    assert!(numbers.into_iter().eq(0..240));
    flooder.send_line("/exit");
    assert_eq!(flooder.lines.rest().last().unwrap(), "* goodbye");
}

/// A client that sends requests without reading the replies is slowed down and then disconnected.
/// Other clients are served, and memory stays below 64 MiB. (16)
pub fn a_client_that_requests_without_reading_is_disconnected(chat: &Chat) {
    let server = chat.server();
    let mut ann = server.peer();
    let mut client = peer::connect(server.addr);
    let greeting = peer::read_line(&mut client);
    let name = greeting.strip_prefix("* you are ").expect("a greeting");
    let left = format!("* {name} left");
    let sending = thread::spawn(move || {
        let requests = "/who\n/help\n/rooms\n/nope\n".repeat(1000);
        // Until the server disconnects the client.
        while client.write_all(requests.as_bytes()).is_ok() {}
    });
    ann.lines.until(&left, |line| line == left);
    sending.join().expect("no panic");
    server.peer().sync();
    if let Some(peak) = crate::system::peak_memory(server.process.id()) {
        assert!(peak < 64 << 20, "{peak} bytes");
    }
}

/// A long flood is slowed down to the pace of its readers (backpressure), and no line is lost. (16)
pub fn a_flood_is_slowed_to_the_pace_of_its_readers(chat: &Chat) {
    const SENDERS: usize = 2;
    const LINES: usize = 150_000;
    let server = chat.server();
    let connect = || {
        let mut stream = peer::connect(server.addr);
        while peer::read_line(&mut stream) != "* you are in lobby" {}
        stream.set_nonblocking(true).expect("open");
        stream
    };
    let mut readers: Vec<_> = (0..40).map(|_| connect()).collect();
    let senders: Vec<_> = (0..SENDERS).map(|_| server.peer()).collect();
    let mut missing = vec![SENDERS * LINES; readers.len()];
    let mut buf = vec![0; 256 * 1024];
    let started = Instant::now();
    thread::scope(|threads| {
        for sender in &senders {
            let mut writer = sender.writer();
            let lines = format!("{}\n", "x".repeat(63)).repeat(100);
            threads.spawn(move || {
                for _ in 0..LINES / 100 {
                    writer.write_all(lines.as_bytes()).expect("open");
                }
            });
        }
        // One thread reads for all clients, so it sets the pace.
        while missing.iter().any(|missing| *missing > 0) {
            assert!(started.elapsed() < 3 * PATIENCE, "{missing:?}");
            for (reader, missing) in readers.iter_mut().zip(&mut missing) {
                let n = match std::io::Read::read(reader, &mut buf) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    read => read.expect("open"),
                };
                assert!(n > 0, "a reader was disconnected");
                // Only a notice contains a star, and only an error an exclamation mark.
                let count = |byte| buf[..n].iter().filter(|other| **other == byte).count();
                *missing = (*missing + count(b'*')).saturating_sub(count(b'\n'));
                assert_eq!(count(b'!'), 0, "a reader missed a line");
            }
        }
    });
}

/// A client that disconnects while it is over its rate limit is removed within a second. (54)
pub fn a_rate_limited_client_that_disconnects_is_removed(chat: &Chat) {
    let server = chat.server_with(&["--rate", "1"]);
    let mut ann = server.peer();
    let mut flooder = server.peer();
    flooder.send("x\n".repeat(4096));
    let line = format!("{}: x", flooder.name);
    ann.lines.until(&line, |received| received == line);
    let left = format!("* {} left", flooder.name);
    flooder.reset();
    let disconnected = Instant::now();
    ann.lines.until(&left, |line| line == left);
    let took = disconnected.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
