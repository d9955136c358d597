use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::{Lines, PATIENCE};

/// A client that is a bare socket, so that a test can also break the rules.
#[derive(Debug)]
pub struct Peer {
    /// The name that the server gave it; empty at step 2.
    pub name: String,
    /// The lines that it receives.
    pub lines: Lines,
    stream: TcpStream,
    /// Set when the connection is being reset.
    resetting: Arc<AtomicBool>,
    syncs: u32,
}

/// How often a blocked read checks whether the connection is being reset.
const POLL: Duration = Duration::from_millis(20);

/// The read half of a socket. A blocked read ends when [`Peer::reset`] is called.
struct Reader {
    stream: TcpStream,
    resetting: Arc<AtomicBool>,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !self.resetting.load(Ordering::Relaxed) {
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
    /// Connects, and waits for nothing: step 2 sends no greeting, and a full server refuses.
    pub fn ungreeted(addr: SocketAddr) -> Self {
        let stream = connect(addr);
        stream.set_read_timeout(Some(POLL)).expect("open");
        let resetting = Arc::new(AtomicBool::new(false));
        let clone = stream.try_clone().expect("a file descriptor");
        let reader = Reader { stream: clone, resetting: resetting.clone() };
        let lines = Lines::new("a raw peer", reader);
        Self { name: String::new(), lines, stream, resetting, syncs: 0 }
    }

    /// Connects, and waits for the greeting with the client's name.
    pub fn greeted(addr: SocketAddr) -> Self {
        Self::try_greeted(addr).unwrap_or_else(|first| panic!("no greeting: {first}"))
    }

    /// Connects, and waits for the greeting. A refusal is the error.
    pub fn try_greeted(addr: SocketAddr) -> Result<Self, String> {
        let mut peer = Self::ungreeted(addr);
        let first = peer.lines.next().expect("a greeting");
        let Some(name) = first.strip_prefix("* you are ") else {
            return Err(first);
        };
        peer.name = name.into();
        // The reply comes after everything else that the server sends to a new client.
        peer.sync();
        Ok(peer)
    }

    /// The same client under a name of its own. Drops the lines so far.
    pub fn named(mut self, name: &str) -> Self {
        self.send_line(&format!("/nick {name}"));
        let reply = format!("* you are {name}");
        self.lines.until(&reply, |line| line == reply);
        self.name = name.into();
        self
    }

    /// The same client in another room. Drops the lines so far.
    pub fn joined(mut self, room: &str) -> Self {
        self.send_line(&format!("/join {room}"));
        let reply = format!("* you are in {room}");
        self.lines.until(&reply, |line| line.eq_ignore_ascii_case(&reply));
        self
    }

    /// The names that `/who` lists. Drops the lines before the list.
    pub fn who(&mut self) -> Vec<String> {
        self.send_line("/who");
        let is_list = |line: &str| {
            let words: Vec<_> = line.split(' ').take(4).collect();
            matches!(words[..], ["*", n, "in", room] if n.parse::<usize>().is_ok() && room.ends_with(':'))
        };
        let (_, list) = self.lines.until("a list of members", is_list);
        let (_, names) = list.split_once(": ").unwrap_or_default();
        names.split(", ").map(str::to_owned).collect()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.expect("a server that reads");
    }

    /// Sends a line.
    pub fn send_line(&mut self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// Waits until the server has handled everything sent so far. Returns the lines received
    /// meanwhile.
    ///
    /// The barrier is an unknown command: its error comes after the replies to all earlier lines.
    pub fn sync(&mut self) -> Vec<String> {
        self.syncs += 1;
        // The number tells this reply from those to earlier unknown commands.
        let command = format!("/no-such-command-{}", self.syncs);
        self.send_line(&command);
        let reply = |line: &str| line.starts_with("! ") && line.ends_with(&command);
        self.lines.until("the reply to a barrier", reply).0
    }

    /// Closes the sending direction.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("open");
    }

    /// Resets the connection: the server's next read or write fails.
    pub fn reset(mut self) {
        reset(&self.stream);
        self.resetting.store(true, Ordering::Relaxed);
        // The socket is closed only when the reading thread has dropped its handle, too.
        self.lines.rest();
    }

    /// A second handle, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a file descriptor")
    }
}

/// A connection without a reading thread.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("a server");
    stream.set_nodelay(true).expect("open");
    stream
}

/// A connection with a receive buffer of a given size, or of the OS's default.
///
/// The size is set before connecting, because the handshake negotiates the window.
pub(crate) fn connect_with(addr: SocketAddr, receive_buffer: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size).expect("a size");
    }
    socket.connect_timeout(&addr.into(), PATIENCE).expect("a server");
    socket.into()
}

/// Reads one line byte by byte, and nothing beyond it.
pub(crate) fn read_line(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("open");
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("a line") == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8(line).expect("UTF-8")
}

/// Makes closing `stream` send a reset.
pub(crate) fn reset(stream: &TcpStream) {
    let linger = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    linger.expect("open");
}

/// Starts `size` connections without waiting for them. Some may never be established.
pub(crate) fn crowd(addr: SocketAddr, size: usize) -> Vec<Socket> {
    let start = |_| {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("open");
        // Returns "in progress".
        let _ = socket.connect(&addr.into());
        socket
    };
    (0..size).map(start).collect()
}
