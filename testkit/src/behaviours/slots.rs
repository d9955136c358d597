//! Connection slots: the server's limit on connections, and the refusal (rows 49, 50).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::{Chat, PATIENCE, Peer, Server, peer, system};

/// The reply to a client over the limit.
const FULL: &str = "! server is full";

/// Calls `connect` until a slot is free.
fn retry<T>(connect: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connect() {
            Ok(client) => return client,
            Err(refusal) => assert_eq!(refusal, FULL),
        }
        assert!(Instant::now() < deadline, "no slot became free");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A new client, connected as soon as a slot is free.
pub(super) fn join_when_free(server: &Server) -> Peer {
    retry(|| Peer::try_greeted(server.addr))
}

/// A bare connection that has been greeted. A refusal is the error.
fn enter(addr: SocketAddr) -> Result<TcpStream, String> {
    let mut stream = peer::connect(addr);
    match peer::read_line(&mut stream) {
        greeting if greeting.starts_with("* you are ") => Ok(stream),
        refusal => Err(refusal),
    }
}

/// A client that has left keeps its slot as long as its socket is open. The server closes the
/// socket after a while, and then the slot is free. (49)
pub fn a_slot_is_free_when_the_socket_is_closed(chat: &Chat) {
    // The server closes after one second. On a busy machine, the refusal may come too late.
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
            join_when_free(&server).sync();
            return;
        }
    }
    panic!("the machine is too slow for this test");
}

/// Many clients leave and keep their sockets open. The server's threads and file descriptors stay
/// bounded, other clients are refused, and slots become free again. (49)
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
        // Fails if the server has refused the client and closed.
        let _ = stream.write_all(b"/exit\n");
        open.push(stream);
        most.0 = most.0.max(system::threads(pid));
        most.1 = most.1.max(system::descriptors(pid));
        thread::sleep((started + n * EVERY).saturating_duration_since(Instant::now()));
    }
    // Two threads for each client, and up to two descriptors for each socket.
    let bound = |before: Option<usize>| before.map(|before| before + 2 * CLIENTS + 8);
    assert!(most.0 <= bound(before.0), "threads: {before:?}, {most:?}");
    assert!(most.1 <= bound(before.1), "descriptors: {before:?}, {most:?}");
    let mut refused = 0;
    for stream in open {
        stream.set_read_timeout(Some(PATIENCE)).expect("open");
        let reply = BufReader::new(stream).lines().next();
        let reply = reply.expect("a reply, not EOF").expect("a reply");
        refused += usize::from(reply == FULL);
        assert!(reply == FULL || reply.starts_with("* you are "), "{reply}");
    }
    assert!(refused > 0, "the limit was never reached");
    join_when_free(&server).sync();
}

/// A connection, and the part of its first line that has arrived.
struct FirstLine {
    socket: Socket,
    bytes: Vec<u8>,
}

impl FirstLine {
    fn new(socket: Socket) -> Self {
        let bytes = Vec::new();
        Self { socket, bytes }
    }

    /// Reads what has arrived. Returns the line once it is complete.
    fn poll(&mut self) -> Option<String> {
        let mut buf = [0; 256];
        match self.socket.read(&mut buf) {
            Ok(0) => panic!("closed without a reply"),
            Ok(n) => self.bytes.extend_from_slice(&buf[..n]),
            // Nothing has arrived, or the socket is not connected yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => panic!("no reply: {error}"),
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
            let late = started.elapsed() > SOON;
            assert!(!late, "no reply to {} of {CLIENTS}, limit {limit}", waiting.len());
            for mut client in std::mem::take(&mut waiting) {
                match client.poll() {
                    Some(reply) => {
                        let greeting = reply.starts_with("* you are ");
                        assert!(greeting || reply == FULL, "{reply}");
                        greeted += usize::from(greeting);
                        // Stays connected, because its slot must not become free.
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
