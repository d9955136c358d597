//! What a slow room and a client that left do not do to others (rows 36, 37, 41).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::slow::{Account, LENGTH, numbered};
use crate::Chat;
use crate::raw::{Raw, Taken, nonblocking, take};

/// How much a thread reads at once.
pub(super) const BUFFER: usize = 256 * 1024;

/// What 99 of 100 round trips stay below while others misbehave.
const P99: Duration = Duration::from_millis(50);

/// Clients of one room that are quick to notice when they stop reading.
fn slow_clients(addr: SocketAddr, room: &str, count: usize) -> Vec<Raw> {
    (0..count).map(|_| Raw::slow(addr).joined(room)).collect()
}

/// Talks without pause until `over`, then says `end`. Gives the number of lines before that.
fn talk(talker: Raw, over: Arc<AtomicBool>) -> JoinHandle<usize> {
    let mut writer = talker.writer();
    thread::spawn(move || {
        // The talker has to outlive its last line.
        let _talker = talker;
        let mut said = 0;
        while !over.load(Ordering::Relaxed) {
            let lines: String = (said..said + 16).map(numbered).collect();
            if writer.write_all(lines.as_bytes()).is_err() {
                return said;
            }
            said += 16;
        }
        // Fails if the server has ended, and the test with it.
        let _ = writer.write_all(b"end\n");
        said
    })
}

/// Reads for all clients, except that each in turn stops for `stop`, until a connection ends.
fn stop_in_turn(mut readers: Vec<TcpStream>, stop: Duration) {
    let mut buf = vec![0; BUFFER];
    let start = Instant::now();
    loop {
        let stops = start.elapsed().as_millis() / stop.as_millis();
        let stopped = stops as usize % readers.len();
        let mut idle = true;
        for (n, reader) in readers.iter_mut().enumerate() {
            if n != stopped {
                match take(reader, &mut buf) {
                    Taken::Bytes => idle = false,
                    Taken::Nothing => {}
                    Taken::End => return,
                }
            }
        }
        if idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a client reads of `talker` until the `end`.
fn account(mut reader: Raw, talker: String) -> JoinHandle<Account> {
    thread::spawn(move || {
        let end = format!("{talker}: end");
        let mut account = Account::default();
        loop {
            match reader.next().expect("a client that reads stays") {
                line if line == end => return account,
                line => account.take(&line, &talker),
            }
        }
    })
}

/// The clients of one room stop reading in turn while another talks without pause. A client of
/// another room does not notice, and a client of that room that keeps reading loses no line. (36)
pub fn a_slow_room_does_not_delay_another_room(chat: &Chat) {
    for stop in [240, 450] {
        let server = chat.server();
        let mut observer = Raw::connect(server.addr);
        let slow = nonblocking(slow_clients(server.addr, "x", 20));
        let steady = Raw::connect(server.addr).joined("x");
        let talker = Raw::connect(server.addr).joined("x");
        let slow = thread::spawn(move || stop_in_turn(slow, Duration::from_millis(stop)));
        let account = account(steady, talker.name.clone());
        let over = Arc::new(AtomicBool::new(false));
        let said = talk(talker, over.clone());
        let latency = observer.round_trips(Duration::from_millis(3500));
        over.store(true, Ordering::Relaxed);
        let said = said.join().expect("no panic");
        let account = account.join().expect("no panic");
        assert!(said > 1000, "only {said} lines in 3.5 s");
        assert_eq!((account.received, account.missed), (said, 0));
        assert!(!slow.is_finished(), "a slow client was disconnected");
        latency.expect(Duration::from_millis(3), P99);
        drop(server);
        slow.join().expect("no panic");
    }
}

/// Reads until the server ends. Gives the longest time between two reads.
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

/// Stops for so long that each client lags. Then each reads on and changes its room, in this order,
/// and stops again before it has read everything.
fn change_rooms(mut clients: Vec<TcpStream>, rooms: &[&str]) {
    let mut buf = vec![0; 16 * 1024];
    for room in rooms.iter().cycle().skip(1) {
        thread::sleep(Duration::from_millis(600));
        for (n, client) in clients.iter_mut().enumerate() {
            for _ in 0..8 + n {
                match take(client, &mut buf) {
                    Taken::Bytes => {}
                    Taken::Nothing => break,
                    Taken::End => return,
                }
            }
            // With a line, so that there is more to do than to enter. It may be refused.
            let join = format!("/join {room}\nx\n");
            let _ = client.write(join.as_bytes());
        }
    }
}

/// Clients that lag change their room again and again, in a flood in either room. They hold no room
/// up for a second, and another room not at all. (37)
pub fn a_lagging_client_that_changes_rooms_blocks_nobody(chat: &Chat) {
    let rooms = ["a", "b"];
    let server = chat.server();
    let mut observer = Raw::connect(server.addr);
    let lagging = nonblocking(slow_clients(server.addr, rooms[0], 20));
    let over = Arc::new(AtomicBool::new(false));
    let flooded = rooms.map(|room| {
        let reader = Raw::connect(server.addr).joined(room);
        let talker = Raw::connect(server.addr).joined(room);
        (longest_gap(reader), talk(talker, over.clone()))
    });
    let lagging = thread::spawn(move || change_rooms(lagging, &rooms));
    let latency = observer.round_trips(Duration::from_secs(6));
    assert!(!lagging.is_finished(), "a lagging client was disconnected");
    over.store(true, Ordering::Relaxed);
    drop(server);
    lagging.join().expect("no panic");
    for (gap, said) in flooded {
        let (gap, said) = (gap.join().expect("no panic"), said.join().expect("no panic"));
        assert!(said > 1000, "only {said} lines in 6 s");
        assert!(gap < Duration::from_secs(1), "a room stood for {gap:?}");
    }
    latency.expect(P99, P99);
}

/// A client that sends on after `/exit`.
struct Sender {
    addr: SocketAddr,
    stream: TcpStream,
    left: Instant,
    taken: Instant,
}

impl Sender {
    fn new(addr: SocketAddr) -> Self {
        let client = Raw::connect(addr);
        client.say("/exit");
        let stream = nonblocking(vec![client]).remove(0);
        let (left, taken) = (Instant::now(), Instant::now());
        Self { addr, stream, left, taken }
    }

    /// Sends what the socket takes. If the server has closed, the next client leaves.
    fn send(&mut self, lines: &[u8]) {
        match self.stream.write(lines) {
            Ok(_) => self.taken = Instant::now(),
            // A server that had read everything when it closed resets nothing.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.taken.elapsed() > Duration::from_millis(500) {
                    *self = Self::new(self.addr);
                }
            }
            Err(_) => *self = Self::new(self.addr),
        }
        let read = self.taken - self.left;
        assert!(read < Duration::from_secs(3), "still read after {read:?}");
    }
}

/// Clients that send on and on after `/exit` delay nobody, and are not read for long. (41)
pub fn clients_that_send_after_exit_delay_nobody(chat: &Chat) {
    let server = chat.server();
    let mut observer = Raw::connect(server.addr);
    let mut senders = [(); 2].map(|()| Sender::new(server.addr));
    let over = Arc::new(AtomicBool::new(false));
    let sending = thread::spawn({
        let over = over.clone();
        // One thread for all: the server needs a processor of its own.
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
