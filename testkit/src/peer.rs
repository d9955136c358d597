use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::{Lines, PATIENCE};

/// A participant that is nothing but a socket, so it can be as rude as it likes.
#[derive(Debug)]
pub struct Peer {
    /// By which the others know it; empty where there are no names.
    pub name: String,
    /// What it reads.
    pub lines: Lines,
    stream: TcpStream,
    vanishing: Arc<AtomicBool>,
    syncs: u32,
}

/// How often a blocked read looks whether its peer vanishes.
const LOOK: Duration = Duration::from_millis(20);

/// A socket whose blocked reads end when its peer vanishes, without a word to the other side.
struct Ear {
    stream: TcpStream,
    vanishing: Arc<AtomicBool>,
}

impl Read for Ear {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !self.vanishing.load(Ordering::Relaxed) {
            match self.stream.read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                read => return read,
            }
        }
        Ok(0)
    }
}

impl Peer {
    /// Connects to a server that greets nobody (step 2), or that may refuse.
    pub fn ungreeted(addr: SocketAddr) -> Self {
        let stream = connect(addr);
        stream.set_read_timeout(Some(LOOK)).expect("open");
        let vanishing = Arc::new(AtomicBool::new(false));
        let ear =
            Ear { stream: stream.try_clone().expect("a descriptor"), vanishing: vanishing.clone() };
        Self {
            name: String::new(),
            lines: Lines::new("a raw peer", ear),
            stream,
            vanishing,
            syncs: 0,
        }
    }

    /// Connects, and waits until it has been greeted and has a name.
    pub fn greeted(addr: SocketAddr) -> Self {
        Self::welcomed(addr).unwrap_or_else(|first| panic!("no greeting: {first}"))
    }

    /// The same, where a refusal is an answer, too: it is the error.
    pub fn welcomed(addr: SocketAddr) -> Result<Self, String> {
        let mut peer = Self::ungreeted(addr);
        let first = peer.lines.next().expect("a greeting");
        let Some(name) = first.strip_prefix("* you are ") else {
            return Err(first);
        };
        peer.name = name.into();
        // Everything else that a new client is sent comes before the answer.
        peer.sync();
        Ok(peer)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.expect("the other side takes what is sent");
    }

    /// Sends a line.
    pub fn say(&mut self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// Everything sent so far has been dealt with; the lines read meanwhile.
    pub fn sync(&mut self) -> Vec<String> {
        self.syncs += 1;
        // The number tells the answer from that to anything unknown that was sent before.
        let command = format!("/no-such-command-{}", self.syncs);
        self.say(&command);
        let answer = |line: &str| line.starts_with("! ") && line.ends_with(&command);
        self.lines.until("the answer to a barrier", answer).0
    }

    /// Nothing more will be sent.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("open");
    }

    /// Vanishes: the other side's next read or write fails.
    pub fn reset(mut self) {
        reset(&self.stream);
        self.vanishing.store(true, Ordering::Relaxed);
        // The end, which comes when the reading thread has let go of its descriptor.
        self.lines.rest();
    }

    /// A second handle, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a descriptor")
    }
}

/// A connection that nobody reads unless the caller does.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("a server");
    stream.set_nodelay(true).expect("open");
    stream
}

/// The same, with a receive buffer of a size other than the OS's choice: it counts from the start
/// only if it is set before connecting.
pub(crate) fn connect_with(addr: SocketAddr, receive_buffer: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size).expect("a size");
    }
    socket.connect_timeout(&addr.into(), PATIENCE).expect("a server");
    socket.into()
}

/// Reads one line, byte by byte: nothing behind it is taken.
pub(crate) fn read_line(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("open");
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("a line") == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8(line).expect("UTF-8")
}

/// Makes the close of `stream` a reset.
pub(crate) fn reset(stream: &TcpStream) {
    let linger = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    linger.expect("open");
}

/// Asks for connections without waiting for them: some may never come to be.
pub(crate) fn crowd(addr: SocketAddr, size: usize) -> Vec<Socket> {
    let ask = |_| {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("open");
        // In progress.
        let _ = socket.connect(&addr.into());
        socket
    };
    (0..size).map(ask).collect()
}
