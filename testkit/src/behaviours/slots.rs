//! Connection slots: how many connections a server holds, and what the others get (rows 49, 50).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::{Chat, PATIENCE, Peer, Server, peer, system};

/// The answer to one client too many.
const FULL: &str = "! server is full";

/// Asks again until a slot is free.
fn retry<T>(ask: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(entered) => return entered,
            Err(refusal) => assert_eq!(refusal, FULL),
        }
        assert!(Instant::now() < deadline, "no slot becomes free");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A new client, as soon as a slot is free.
pub(super) fn let_in(server: &Server) -> Peer {
    retry(|| Peer::welcomed(server.addr))
}

/// A bare connection that was greeted, or the refusal.
fn enter(addr: SocketAddr) -> Result<TcpStream, String> {
    let mut stream = peer::connect(addr);
    match peer::read_line(&mut stream) {
        greeting if greeting.starts_with("* you are ") => Ok(stream),
        refusal => Err(refusal),
    }
}

/// A client that left and keeps its socket open still has its slot: one client more is refused until
/// the server has closed its side, which it does by itself. (49)
pub fn a_slot_is_free_when_the_socket_is_closed(chat: &Chat) {
    // The server waits a second for its clients to close: on a busy machine that may be over first.
    const SOON: Duration = Duration::from_millis(600);
    let server = chat.server_with(&["--max-clients", "10"]);
    for _ in 0..10 {
        let enter_soon = |_| retry(|| enter(server.addr));
        let mut open: Vec<_> = (0..10).map(enter_soon).collect();
        let started = Instant::now();
        for stream in &mut open {
            stream.write_all(b"/exit\n").expect("open");
        }
        for stream in &mut open {
            while peer::read_line(stream) != "* goodbye" {}
        }
        let refusal = enter(server.addr).err();
        if started.elapsed() < SOON {
            assert_eq!(refusal.as_deref(), Some(FULL));
            let_in(&server).sync();
            return;
        }
    }
    panic!("the machine is too slow to see this");
}

/// However many clients leave and keep their sockets open, the server's threads and descriptors stay
/// within the limit and a small constant; every other client is told, and afterwards there is room
/// again. (49)
pub fn sessions_that_linger_count_as_connections(chat: &Chat) {
    const CLIENTS: usize = 10;
    const EVERY: Duration = Duration::from_millis(10);
    let server = chat.server_with(&["--max-clients", "10"]);
    let pid = server.process.id();
    let before = (system::threads(pid), system::descriptors(pid));
    let mut most = before;
    let mut open = Vec::new();
    let started = Instant::now();
    for n in 0..300 {
        let mut stream = peer::connect(server.addr);
        // Fails for a client that was refused and closed by now.
        let _ = stream.write_all(b"/exit\n");
        open.push(stream);
        most.0 = most.0.max(system::threads(pid));
        most.1 = most.1.max(system::descriptors(pid));
        thread::sleep((started + n * EVERY).saturating_duration_since(Instant::now()));
    }
    // A reader and a writer, or a socket and its copy.
    let bound = |before: Option<usize>| before.map(|before| before + 2 * CLIENTS + 8);
    assert!(most.0 <= bound(before.0), "threads: {before:?}, {most:?}");
    assert!(most.1 <= bound(before.1), "descriptors: {before:?}, {most:?}");
    let mut refused = 0;
    for stream in open {
        stream.set_read_timeout(Some(PATIENCE)).expect("open");
        let answer = BufReader::new(stream).lines().next();
        let answer = answer.expect("no answer").expect("an answer");
        refused += usize::from(answer == FULL);
        assert!(answer == FULL || answer.starts_with("* you are "), "{answer}");
    }
    assert!(refused > 0, "the limit was never reached");
    let_in(&server).sync();
}

/// The first line that a connection gets, as far as it has come.
struct FirstLine {
    socket: Socket,
    bytes: Vec<u8>,
}

impl FirstLine {
    fn new(socket: Socket) -> Self {
        let bytes = Vec::new();
        Self { socket, bytes }
    }

    /// Takes what has arrived. Gives the line once it is whole.
    fn poll(&mut self) -> Option<String> {
        let mut buf = [0; 256];
        match self.socket.read(&mut buf) {
            Ok(0) => panic!("closed without an answer"),
            Ok(n) => self.bytes.extend_from_slice(&buf[..n]),
            // Nothing has arrived, or it is not connected yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => panic!("no answer: {error}"),
        }
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        Some(String::from_utf8_lossy(&self.bytes[..end]).into_owned())
    }
}

/// A thousand clients that connect at once are all greeted or refused within five seconds. (50)
#[cfg(unix)]
pub fn a_burst_of_connections_is_answered(chat: &Chat) {
    const CLIENTS: usize = 1000;
    const SOON: Duration = Duration::from_secs(5);
    system::raise_descriptor_limit();
    for limit in [CLIENTS, 100] {
        let server = chat.server_with(&["--max-clients", &limit.to_string()]);
        let started = Instant::now();
        let burst = peer::crowd(server.addr, CLIENTS).into_iter();
        let mut waiting: Vec<_> = burst.map(FirstLine::new).collect();
        let mut answered = Vec::new();
        let mut greeted = 0;
        while !waiting.is_empty() {
            let hang = started.elapsed() > SOON;
            assert!(!hang, "{} of {CLIENTS} hang, limit {limit}", waiting.len());
            for mut client in std::mem::take(&mut waiting) {
                match client.poll() {
                    // It stays, or its slot would be the next one's.
                    Some(answer) => {
                        let welcome = answer.starts_with("* you are ");
                        assert!(welcome || answer == FULL, "{answer}");
                        greeted += usize::from(welcome);
                        answered.push(client);
                    }
                    None => waiting.push(client),
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(greeted, limit);
    }
}
