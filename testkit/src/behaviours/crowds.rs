//! Floods from many senders in a large room (row 52).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, PATIENCE, peer, system};

/// How many members the room has. One of them never reads.
const MEMBERS: usize = 200;

/// How many bytes the senders say together.
const VOLUME: usize = 4 << 20;

/// Bytes of a line, its end included.
const LENGTH: usize = 64;

/// What was read, in figures: if they are right, no line is missing, cut or repeated.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sum {
    lines: usize,
    bytes: u64,
    /// Of `*`, which only a notice contains.
    stars: usize,
    /// Of `!`, which only an error contains.
    errors: usize,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.lines += usize::from(*byte == b'\n');
            self.stars += usize::from(*byte == b'*');
            self.errors += usize::from(*byte == b'!');
            self.bytes += u64::from(*byte);
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
            stars: self.stars + other.stars,
            errors: self.errors + other.errors,
        }
    }

    /// What `lines` add up to.
    fn of(lines: &str) -> Self {
        let mut sum = Self::default();
        sum.add(lines.as_bytes());
        sum
    }
}

/// A healthy member: it reads everything, and sends if it has something to send.
struct Member {
    stream: TcpStream,
    name: String,
    read: Sum,
    /// Its own lines, which only the others read.
    own: Sum,
    /// What it still has to send.
    unsent: Vec<u8>,
}

impl Member {
    fn new(addr: SocketAddr) -> Self {
        let mut stream = peer::connect(addr);
        let greeting = peer::read_line(&mut stream);
        let name = greeting.strip_prefix("* you are ").expect("a greeting");
        Self {
            stream,
            name: name.into(),
            read: Sum::default(),
            own: Sum::default(),
            unsent: Vec::new(),
        }
    }

    /// Reads and sends what the socket has and takes.
    fn advance(&mut self, buf: &mut [u8]) {
        if let Some(n) = ready(self.stream.read(buf)) {
            self.read.add(&buf[..n]);
            assert_eq!(self.read.errors, 0, "{} is sent an error", self.name);
            assert!(n > 0, "{} is disconnected", self.name);
        }
        if !self.unsent.is_empty()
            && let Some(n) = ready(self.stream.write(&self.unsent))
        {
            self.unsent.drain(..n);
        }
    }
}

/// `None` where a blocking call would wait.
fn ready(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        done => Some(done.expect("a connection that is not reset")),
    }
}

/// Everyone has read what came before the flood, join notices included.
fn settle(members: &mut [Member]) {
    let (last, others) = members.split_last_mut().expect("members");
    // A line comes after the notices that its sender joined, and that those before it joined.
    last.stream.write_all(b"ready\n/ready\n").expect("open");
    let ready = format!("{}: ready", last.name);
    for member in others {
        while peer::read_line(&mut member.stream) != ready {}
    }
    while !peer::read_line(&mut last.stream).starts_with("! ") {}
    for member in members {
        member.stream.set_nonblocking(true).expect("open");
    }
}

/// `count` lines, as they are sent.
fn lines(count: usize) -> impl Iterator<Item = String> {
    let padding = "x".repeat(LENGTH - 8);
    (0..count).map(move |n| format!("{n:06} {padding}\n"))
}

/// The room's lines, shared among the first `senders` members. Gives what all lines add up to.
fn load(members: &mut [Member], senders: usize) -> Sum {
    let mut all = Sum::default();
    for member in &mut members[..senders] {
        for line in lines(VOLUME / LENGTH / senders) {
            member.unsent.extend(line.bytes());
            let shown = format!("{}: {line}", member.name);
            member.own.add(shown.as_bytes());
        }
        all = all.plus(member.own);
    }
    all
}

/// One thread sends and reads for all members until `waits` no longer holds for any of them.
fn run(members: &mut [Member], waits: impl Fn(&Member) -> bool) {
    let mut buf = vec![0; 256 * 1024];
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut waiting: Vec<_> = members.iter_mut().collect();
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            let read: Vec<_> = waiting.iter().map(|member| member.read.lines).collect();
            panic!("lines never came after {read:?}");
        }
        for member in &mut waiting {
            member.advance(&mut buf);
        }
        waiting.retain(|member| waits(member));
        // Passes that read little cost more than the pause: the sockets hold far more than comes.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Some members flood, and all members but one read everything: none of them misses a line or is
/// disconnected.
fn flood(chat: &Chat, senders: usize) {
    let server = chat.server();
    let mut mute = peer::connect_with(server.addr, Some(8 * 1024));
    let greeting = peer::read_line(&mut mute);
    let mut members: Vec<_> = (1..MEMBERS).map(|_| Member::new(server.addr)).collect();
    settle(&mut members);
    let all = load(&mut members, senders);
    // Up to step 4, the member that never reads is evicted, and step 5 may disconnect it.
    let evicted = usize::from(chat.step() < 5);
    run(&mut members, |member| {
        let lines = all.lines - member.own.lines + member.read.stars.max(evicted);
        member.read.lines < lines
    });
    let left = Sum::of(&format!("{} left\n", greeting.replace("you are ", "")));
    for member in &members {
        let expected = (0..member.read.stars).fold(all, |sum, _| sum.plus(left));
        assert_eq!(member.read.plus(member.own), expected, "{}", member.name);
    }
    if let Some(peak) = system::peak_memory(server.process.id()) {
        assert!(peak < 64 << 20, "{peak} bytes");
    }
}

/// Twenty members flood a room of two hundred, one of whom never reads: no other member misses a
/// line or is disconnected, and memory stays below 64 MiB. (52)
pub fn twenty_floods_reach_every_reader(chat: &Chat) {
    flood(chat, 20);
}

/// The same while everyone who reads floods. (52)
pub fn two_hundred_floods_reach_every_reader(chat: &Chat) {
    flood(chat, MEMBERS - 1);
}
