//! Who reads too slowly, and who talks too fast, in a room that counts lines (rows 16, 32).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, PATIENCE, peer};

/// The length of numbered lines.
pub(super) const LENGTH: usize = 1000;

/// A line with its number, for [`Account`].
pub(super) fn numbered(n: usize) -> String {
    format!("{n:09} {}\n", "x".repeat(LENGTH - 11))
}

/// Sends numbered lines until `end`, as fast as they are taken. Gives their number.
pub(super) fn flood_until(mut writer: TcpStream, end: Instant) -> usize {
    const CHUNK: usize = 64;
    // Rather than hang if the server takes no more.
    writer.set_write_timeout(Some(PATIENCE)).expect("open");
    let mut sent = 0;
    while Instant::now() < end {
        let lines: String = (sent..sent + CHUNK).map(numbered).collect();
        writer.write_all(lines.as_bytes()).expect("lines are taken");
        sent += CHUNK;
    }
    sent
}

/// What a pauser has read or been told to have missed.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) received: usize,
    pub(super) missed: usize,
    /// The number of the next line.
    pub(super) next: usize,
}

impl Account {
    /// Counts a line, and fails if it is not the next that `talker` said.
    pub(super) fn take(&mut self, line: &str, talker: &str) {
        let missed = line.strip_prefix("! missed ");
        if let Some(missed) = missed.and_then(|missed| missed.strip_suffix(" lines")) {
            let missed: usize = missed.parse().expect("a number");
            assert!(missed > 0);
            self.missed += missed;
            self.next += missed;
        } else if let Some(said) = line.strip_prefix(talker) {
            let n: usize = said[2..11].parse().expect("a number");
            assert_eq!(n, self.next, "the gap is not where it is told");
            assert_eq!(said.len(), LENGTH + 1, "a line is cut");
            self.received += 1;
            self.next += 1;
        } else {
            assert!(line.starts_with("* "), "{line}");
        }
    }
}

/// Who pauses while a flood goes on is told how many lines he missed, where he missed them: what
/// he reads and what he is told to have missed is what was said, off by nothing. (16)
pub fn who_pauses_is_told_what_he_missed(chat: &Chat) {
    const LINES: usize = 30_000;
    let server = chat.server();
    let mut talker = server.peer();
    let mut pausers: Vec<_> = (0..3).map(|_| peer::connect(server.addr)).collect();
    for pauser in &mut pausers {
        while peer::read_line(pauser) != "* you are in lobby" {}
    }
    let mut accounts: Vec<_> = pausers.iter().map(|_| Account::default()).collect();
    for round in 1..=2 {
        let mut writer = talker.writer();
        for n in (round - 1) * LINES..round * LINES {
            writer.write_all(numbered(n).as_bytes()).expect("open");
        }
        talker.sync();
        for (pauser, account) in pausers.iter_mut().zip(&mut accounts) {
            // Whoever speaks himself has not missed that.
            pauser.write_all(b"/who\n").expect("open");
            pauser.set_read_timeout(Some(PATIENCE)).expect("open");
            // Nothing follows the answer, so nothing is lost with what is buffered.
            let mut lines = BufReader::new(pauser).lines();
            let answer = loop {
                let line = lines.next().expect("cut off").expect("a line");
                if line.starts_with("* 5 in lobby: ") {
                    break line;
                }
                account.take(&line, &talker.name);
            };
            assert!(answer.contains(&talker.name));
        }
        for account in &accounts {
            assert_eq!(account.received + account.missed, round * LINES);
            assert!(account.missed > 0, "nobody paused for long enough");
        }
    }
}

/// Who takes nothing for seconds is cut, and the log says why. (16)
pub fn who_never_reads_is_cut(chat: &Chat) {
    let mut server = chat.server();
    let mut ann = server.peer();
    let mut stuck = peer::connect(server.addr);
    let greeting = peer::read_line(&mut stuck);
    let name = greeting.strip_prefix("* you are ").expect("a greeting");
    let left = format!("* {name} left");
    let mut bob = server.peer();
    let mut writer = bob.writer();
    let talking = thread::spawn(move || {
        for n in 0..30_000 {
            writer.write_all(numbered(n).as_bytes()).expect("open");
        }
    });
    ann.lines.until(&left, |line| line == left);
    talking.join().expect("no panic");
    bob.sync();
    let log = server.process.stderr.find(|line| line.contains("disconnected")).expect("a reason");
    assert!(log.contains("127.0.0.1"), "{log}");
}

/// More lines than `--rate` allows come later, all of them, and hold nobody else up. (32)
pub fn a_talker_is_slowed_not_cut(chat: &Chat) {
    let server = chat.server_with(&["--rate", "20"]);
    let mut ann = server.peer();
    let mut bob = server.peer();
    let mut flood = server.peer();
    let started = Instant::now();
    let lines: String = (0..240).map(|n| format!("{n}\n")).collect();
    flood.send(&lines);
    let over_here = format!("{}: over here", bob.name);
    bob.say("over here");
    let (mut heard, _) = ann.lines.until(&over_here, |line| line == over_here);
    assert!(started.elapsed() < Duration::from_secs(1));
    let last = format!("{}: 239", flood.name);
    let (more, last) = ann.lines.until(&last, |line| line == last);
    // 200 at once, and then 20 a second.
    assert!(started.elapsed() > Duration::from_millis(1900));
    heard.extend(more);
    heard.push(last);
    let said = format!("{}: ", flood.name);
    let numbers = heard.iter().filter_map(|line| line.strip_prefix(&said));
    let numbers: Vec<usize> = numbers.map(|n| n.parse().expect("a number")).collect();
    assert!(numbers.into_iter().eq(0..240));
    flood.say("/exit");
    assert_eq!(flood.lines.rest().last().unwrap(), "* goodbye");
}

/// Who asks more than he reads is held back, and then cut; the others are served, and memory does
/// not grow.
pub fn questions_without_reading_end(chat: &Chat) {
    let server = chat.server();
    let mut ann = server.peer();
    let mut rude = peer::connect(server.addr);
    let greeting = peer::read_line(&mut rude);
    let rude_name = greeting.strip_prefix("* you are ").expect("a greeting");
    let left = format!("* {rude_name} left");
    let asking = thread::spawn(move || {
        let questions = "/who\n/help\n/rooms\n/nope\n".repeat(1000);
        // Until it is cut.
        while rude.write_all(questions.as_bytes()).is_ok() {}
    });
    ann.lines.until(&left, |line| line == left);
    asking.join().expect("no panic");
    server.peer().sync();
    if let Some(peak) = crate::system::peak_memory(server.process.id()) {
        assert!(peak < 64 << 20, "{peak} bytes");
    }
}

/// A flood that all can only just read is no reason to lose anything: it goes at their pace, however
/// long it lasts. (16)
pub fn a_flood_goes_at_the_readers_pace(chat: &Chat) {
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
    let talkers: Vec<_> = (0..SENDERS).map(|_| server.peer()).collect();
    let mut missing = vec![SENDERS * LINES; readers.len()];
    let mut buf = vec![0; 256 * 1024];
    let started = Instant::now();
    thread::scope(|threads| {
        for talker in &talkers {
            let mut writer = talker.writer();
            let lines = format!("{}\n", "x".repeat(63)).repeat(100);
            threads.spawn(move || {
                for _ in 0..LINES / 100 {
                    writer.write_all(lines.as_bytes()).expect("open");
                }
            });
        }
        // One thread reads for all, so it is what the flood waits for.
        while missing.iter().any(|missing| *missing > 0) {
            assert!(started.elapsed() < 3 * PATIENCE, "{missing:?}");
            for (reader, missing) in readers.iter_mut().zip(&mut missing) {
                let n = match std::io::Read::read(reader, &mut buf) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    read => read.expect("open"),
                };
                assert!(n > 0, "cut off");
                // A line of a flood has no star and no exclamation mark, a notice one star.
                let count = |byte| buf[..n].iter().filter(|other| **other == byte).count();
                *missing = (*missing + count(b'*')).saturating_sub(count(b'\n'));
                assert_eq!(count(b'!'), 0, "a reader was told that he missed something");
            }
        }
    });
}

/// A client that vanishes while it is over its rate has left within a second. (54)
pub fn a_client_that_vanishes_over_its_rate_leaves(chat: &Chat) {
    let server = chat.server_with(&["--rate", "1"]);
    let mut ann = server.peer();
    let mut flood = server.peer();
    flood.send("x\n".repeat(4096));
    let said = format!("{}: x", flood.name);
    ann.lines.until(&said, |line| line == said);
    let left = format!("* {} left", flood.name);
    flood.reset();
    let vanished = Instant::now();
    ann.lines.until(&left, |line| line == left);
    let took = vanished.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
