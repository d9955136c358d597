//! Isolation: slow clients of one room do not delay other rooms (rows 36, 37, 41).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::slow::{Account, LENGTH, numbered};
use crate::Chat;
use crate::raw::{Polled, Raw, nonblocking, poll_read};

/// The size of a read buffer.
pub(super) const BUFFER: usize = 256 * 1024;

/// The bound for 99 of 100 round trips while other clients misbehave.
const P99: Duration = Duration::from_millis(50);

/// Clients of one room with small buffers: when they stop reading, the server notices soon.
fn slow_clients(addr: SocketAddr, room: &str, count: usize) -> Vec<Raw> {
    (0..count).map(|_| Raw::slow(addr).joined(room)).collect()
}

/// Sends lines without pause until `over`, then `end`. Returns the number of lines before that.
fn flood(sender: Raw, over: Arc<AtomicBool>) -> JoinHandle<usize> {
    let mut writer = sender.writer();
    thread::spawn(move || {
        // Dropping the sender would close its connection.
        let _sender = sender;
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            let lines: String = (sent..sent + 16).map(numbered).collect();
            if writer.write_all(lines.as_bytes()).is_err() {
                return sent;
            }
            sent += 16;
        }
        // Fails if the server has ended, and the test with it.
        let _ = writer.write_all(b"end\n");
        sent
    })
}

/// Reads for all clients until a connection ends, except that each client in turn stops for `stop`.
fn stop_in_turn(mut readers: Vec<TcpStream>, stop: Duration) {
    let mut buf = vec![0; BUFFER];
    let start = Instant::now();
    loop {
        let stops = start.elapsed().as_millis() / stop.as_millis();
        let stopped = stops as usize % readers.len();
        let mut idle = true;
        for (n, reader) in readers.iter_mut().enumerate() {
            if n != stopped {
                match poll_read(reader, &mut buf) {
                    Polled::Data => idle = false,
                    Polled::Empty => {}
                    Polled::Eof => return,
                }
            }
        }
        if idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Counts the lines that a client receives from `sender`, until `end`.
fn account(mut reader: Raw, sender: String) -> JoinHandle<Account> {
    thread::spawn(move || {
        let end = format!("{sender}: end");
        let mut account = Account::default();
        loop {
            match reader.next().expect("a client that stays connected") {
                line if line == end => return account,
                line => account.add(&line, &sender),
            }
        }
    })
}

/// In a flooded room, slow clients stop reading in turn. A client in another room is not delayed,
/// and a client in the slow room that keeps reading loses no line. (36)
pub fn a_slow_room_does_not_delay_another_room(chat: &Chat) {
    for stop in [240, 450] {
        let server = chat.server();
        let mut observer = Raw::connect(server.addr);
        let slow = nonblocking(slow_clients(server.addr, "x", 20));
        let steady = Raw::connect(server.addr).joined("x");
        let sender = Raw::connect(server.addr).joined("x");
        let slow = thread::spawn(move || stop_in_turn(slow, Duration::from_millis(stop)));
        let account = account(steady, sender.name.clone());
        let over = Arc::new(AtomicBool::new(false));
        let sent = flood(sender, over.clone());
        let latency = observer.round_trips(Duration::from_millis(3500));
        over.store(true, Ordering::Relaxed);
        let sent = sent.join().expect("no panic");
        let account = account.join().expect("no panic");
        assert!(sent > 1000, "only {sent} lines in 3.5 s");
        assert_eq!((account.received, account.missed), (sent, 0));
        assert!(!slow.is_finished(), "a slow client was disconnected");
        latency.expect(Duration::from_millis(3), P99);
        drop(server);
        slow.join().expect("no panic");
    }
}

/// Reads until the server ends. Returns the longest time between two reads.
fn longest_gap(reader: Raw) -> JoinHandle<Duration> {
    let mut stream = reader.into_stream();
    thread::spawn(move || {
        let mut buf = vec![0; BUFFER];
        let mut last = Instant::now();
        let mut longest = Duration::ZERO;
        while stream.read(&mut buf).is_ok_and(|n| n > 0) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        longest.max(last.elapsed())
    })
}

/// Stops reading until each client lags. Then each client reads a little and changes its room, and
/// so on through `rooms`, until a connection ends.
fn change_rooms(mut clients: Vec<TcpStream>, rooms: &[&str]) {
    let mut buf = vec![0; 16 * 1024];
    for room in rooms.iter().cycle().skip(1) {
        thread::sleep(Duration::from_millis(600));
        for (n, client) in clients.iter_mut().enumerate() {
            for _ in 0..8 + n {
                match poll_read(client, &mut buf) {
                    Polled::Data => {}
                    Polled::Empty => break,
                    Polled::Eof => return,
                }
            }
            // Also a line, so that the server has work in the new room. The socket may be full.
            let join = format!("/join {room}\nx\n");
            let _ = client.write(join.as_bytes());
        }
    }
}

/// Lagging clients change between two flooded rooms again and again. They delay neither room for a
/// second, and a third room not at all. (37)
pub fn a_lagging_client_that_changes_rooms_blocks_no_room(chat: &Chat) {
    let rooms = ["a", "b"];
    let server = chat.server();
    let mut observer = Raw::connect(server.addr);
    let lagging = nonblocking(slow_clients(server.addr, rooms[0], 20));
    let over = Arc::new(AtomicBool::new(false));
    let flooded = rooms.map(|room| {
        let reader = Raw::connect(server.addr).joined(room);
        let sender = Raw::connect(server.addr).joined(room);
        (longest_gap(reader), flood(sender, over.clone()))
    });
    let lagging = thread::spawn(move || change_rooms(lagging, &rooms));
    let latency = observer.round_trips(Duration::from_secs(6));
    assert!(!lagging.is_finished(), "a lagging client was disconnected");
    over.store(true, Ordering::Relaxed);
    drop(server);
    lagging.join().expect("no panic");
    for (gap, sent) in flooded {
        let (gap, sent) = (gap.join().expect("no panic"), sent.join().expect("no panic"));
        assert!(sent > 1000, "only {sent} lines in 6 s");
        assert!(gap < Duration::from_secs(1), "no line in a room for {gap:?}");
    }
    latency.expect(P99, P99);
}

/// A client that keeps sending after `/exit`.
struct Sender {
    addr: SocketAddr,
    stream: TcpStream,
    left: Instant,
    /// The last time when the socket accepted bytes.
    accepted: Instant,
}

impl Sender {
    fn new(addr: SocketAddr) -> Self {
        let client = Raw::connect(addr);
        client.send_line("/exit");
        let stream = nonblocking(vec![client]).remove(0);
        let (left, accepted) = (Instant::now(), Instant::now());
        Self { addr, stream, left, accepted }
    }

    /// Sends as much as the socket accepts. After the server has closed, a new client takes over.
    fn send(&mut self, lines: &[u8]) {
        match self.stream.write(lines) {
            Ok(_) => self.accepted = Instant::now(),
            // If the server had read everything when it closed, it sends no reset.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.accepted.elapsed() > Duration::from_millis(500) {
                    *self = Self::new(self.addr);
                }
            }
            Err(_) => *self = Self::new(self.addr),
        }
        let read = self.accepted - self.left;
        assert!(read < Duration::from_secs(3), "still read after {read:?}");
    }
}

/// Clients that keep sending after `/exit` do not delay another client, and the server soon stops
/// reading from them. (41)
pub fn clients_that_send_after_exit_delay_no_other_client(chat: &Chat) {
    let server = chat.server();
    let mut observer = Raw::connect(server.addr);
    let mut senders = [(); 2].map(|()| Sender::new(server.addr));
    let over = Arc::new(AtomicBool::new(false));
    let sending = thread::spawn({
        let over = over.clone();
        // One thread for all senders, because the server needs a core of its own.
        move || {
            let lines: String = (0..BUFFER / LENGTH).map(numbered).collect();
            while !over.load(Ordering::Relaxed) {
                for sender in &mut senders {
                    sender.send(lines.as_bytes());
                }
            }
        }
    });
    let latency = observer.round_trips(Duration::from_secs(4));
    over.store(true, Ordering::Relaxed);
    sending.join().expect("no panic");
    latency.expect(P99, P99);
}
