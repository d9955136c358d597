//! Floods from many senders in a large room (row 52).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, PATIENCE, peer, system};

/// The number of members of the room. One of them never reads.
const MEMBERS: usize = 200;

/// The number of bytes that all senders send together.
const VOLUME: usize = 4 << 20;

/// The length of a line, with its newline.
const LENGTH: usize = 64;

/// A checksum of received lines: if it is right, no line is missing, truncated or repeated.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sum {
    lines: usize,
    bytes: u64,
    /// The number of `*`, which only a notice contains.
    stars: usize,
    /// The number of `!`, which only an error contains.
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

    /// The checksum of `lines`.
    fn of(lines: &str) -> Self {
        let mut sum = Self::default();
        sum.add(lines.as_bytes());
        sum
    }
}

/// A healthy member, which reads everything. Some members also send.
struct Member {
    stream: TcpStream,
    name: String,
    read: Sum,
    /// The member's own lines, which only other members receive.
    own: Sum,
    /// The bytes that are still to be sent.
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

    /// Reads and sends as much as the socket allows without blocking.
    fn advance(&mut self, buf: &mut [u8]) {
        if let Some(n) = ready(self.stream.read(buf)) {
            self.read.add(&buf[..n]);
            assert_eq!(self.read.errors, 0, "{} received an error", self.name);
            assert!(n > 0, "{} is disconnected", self.name);
        }
        if !self.unsent.is_empty()
            && let Some(n) = ready(self.stream.write(&self.unsent))
        {
            self.unsent.drain(..n);
        }
    }
}

/// The result, or `None` where a blocking call would wait.
fn ready(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        done => Some(done.expect("a connection that is not reset")),
    }
}

/// Waits until all members have received everything from before the flood, join notices included.
fn settle(members: &mut [Member]) {
    let (last, others) = members.split_last_mut().expect("members");
    // The last member's line arrives after the join notices of all members.
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

/// Numbered lines for a member to send.
fn lines(count: usize) -> impl Iterator<Item = String> {
    let padding = "x".repeat(LENGTH - 8);
    (0..count).map(move |n| format!("{n:06} {padding}\n"))
}

/// Assigns lines to the first `senders` members. Returns the checksum of all lines.
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

/// Sends and reads for all members, in one thread, until `waits` is false for each of them.
fn run(members: &mut [Member], waits: impl Fn(&Member) -> bool) {
    let mut buf = vec![0; 256 * 1024];
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut waiting: Vec<_> = members.iter_mut().collect();
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            let read: Vec<_> = waiting.iter().map(|member| member.read.lines).collect();
            panic!("no more lines after {read:?}");
        }
        for member in &mut waiting {
            member.advance(&mut buf);
        }
        waiting.retain(|member| waits(member));
        // A pass over 200 sockets is expensive. The socket buffers hold what arrives in the pause.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Floods the room from `senders` members, while one member never reads. Expects that every other
/// member receives every line and stays connected.
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

/// Twenty members flood a room of 200, and one member never reads. Every other member receives
/// every line and stays connected, and memory stays below 64 MiB. (52)
pub fn twenty_floods_reach_every_reader(chat: &Chat) {
    flood(chat, 20);
}

/// All members that read also flood the room: every line reaches every one of them. (52)
pub fn two_hundred_floods_reach_every_reader(chat: &Chat) {
    flood(chat, MEMBERS - 1);
}
