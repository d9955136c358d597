//! Step three and a half: the event loop by hand, on `mio`. One thread serves all clients.
//!
//! The loop asks the OS which sockets are ready (epoll, on Linux). While it serves, it waits
//! nowhere else. What a thread keeps on its stack between two blocking calls is a field here: the
//! unfinished line, the rest of a write, each deadline. A runtime does the same for you: an `async
//! fn` compiles to such a struct. That is step 4.
//!
//! - *Gain:* a small struct per client instead of two threads. No lock, and no queue between threads
//!   except for the keyboard. All that arrives in one turn leaves in one write per client.
//! - *Cost:* control flow becomes state. `mio` reports a readiness once (it is edge-triggered), so
//!   the loop must remember which sockets it has not read empty. Deadlines are checked by hand.
//!   What can only block, such as stdin, still needs a thread.
//! - *Cost:* one thread uses one core. A turn that computes stops every client, and each turn looks
//!   at all connections.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown as Close;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use crossbeam_channel::{self as channel, never, select};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use step3_multiclient::console::Console;
use step3_multiclient::server::DRAIN;
use step3_multiclient::signals::Shutdown;

mod parts;

use parts::{Id, OPERATOR, Output, Received, name, notice, refuse};

/// The number of pending bytes of one member above which the loop reads no member. Also the most
/// that one turn reads, exceeded by one read at most.
const PENDING: usize = 64 * 1024;

/// The size of a read. With small reads, a single talker makes small writes.
const READ: usize = 64 * 1024;

/// How long a member may have too much pending, and how long its last lines and its EOF may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// How soon to try again what the OS does not report.
const RETRY: Duration = Duration::from_millis(10);

const LISTENER: Token = Token(0);
const CONSOLE: Token = Token(usize::MAX);

fn main() -> ExitCode {
    parts::run(1000, run)
}

/// A socket, and what a thread would keep on its stack.
struct Connection {
    stream: TcpStream,
    decoder: LineDecoder,
    /// What the socket has not accepted yet, from `written` on.
    pending: Vec<u8>,
    written: usize,
    /// Whether the OS is asked to report when the socket accepts bytes.
    wants_writable: bool,
    at_eof: bool,
    /// The deadline of a member that has too much pending.
    stalled: Option<Instant>,
    /// The deadline of a connection that is no member any more.
    closing: Option<Instant>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            decoder: LineDecoder::for_telnet(MAX_TEXT),
            pending: Vec::new(),
            written: 0,
            wants_writable: false,
            at_eof: false,
            stalled: None,
            closing: None,
        }
    }

    fn unwritten(&self) -> usize {
        self.pending.len() - self.written
    }

    /// Writes what the socket accepts now.
    fn flush(&mut self, id: Id, registry: &Registry) -> io::Result<()> {
        while self.unwritten() > 0 {
            match self.stream.write(&self.pending[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => break,
                    _ => return Err(error),
                },
            }
        }
        if self.unwritten() == 0 && self.written > 0 {
            // Not `clear`: an idle client keeps no buffer.
            self.pending = Vec::new();
            self.written = 0;
            if self.closing.is_some() {
                // Fails if the connection is lost, which the next read reports.
                let _ = self.stream.shutdown(Close::Write);
            }
        }
        self.stalled = match self.unwritten() > PENDING && self.closing.is_none() {
            true => self.stalled.or_else(|| Some(Instant::now() + DEADLINE)),
            false => None,
        };
        // A socket is nearly always writable. If the loop always asked, level-triggered epoll would
        // make it spin. `mio` is edge-triggered: it would only wake up for nothing.
        let wants_writable = self.unwritten() > 0;
        if wants_writable != self.wants_writable {
            self.wants_writable = wants_writable;
            let interest = match wants_writable {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            registry.reregister(&mut self.stream, Token(id), interest)?;
        }
        Ok(())
    }

    /// Reads once. Returns the lines, or `None` if the socket is empty.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<Vec<Result<String, LineError>>>> {
        match self.stream.read(buf) {
            Ok(0) => {
                self.at_eof = true;
                Ok(Some(self.decoder.finish().collect()))
            }
            Ok(n) => {
                let lines: Vec<_> = self.decoder.feed(&buf[..n]).collect();
                // Nothing after this is read.
                self.at_eof |= lines.last() == Some(&Err(LineError::Unterminated));
                Ok(Some(lines))
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(Some(Vec::new())),
                ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Ends the membership. A stalled client gets only the rest of a line that was sent in part.
    fn close(&mut self, last: Line<'_>, deadline: Instant) {
        if self.stalled.take().is_some() {
            let (written, rest) = self.pending.split_at(self.written);
            let partial = written.last().is_some_and(|byte| *byte != b'\n');
            let end = rest.iter().position(|byte| *byte == b'\n').filter(|_| partial);
            self.pending.truncate(end.map_or(self.written, |end| self.written + end + 1));
        }
        self.pending.extend(format!("{last}\n").bytes());
        self.closing = Some(deadline);
    }

    /// Whether nothing is left to do, or no time to do it.
    fn is_over(&self, now: Instant) -> bool {
        let done = self.unwritten() == 0 && self.at_eof;
        self.closing.is_some_and(|deadline| done || now >= deadline)
    }
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    /// Whether clients may be waiting to be accepted.
    accept: bool,
    max_clients: usize,
    last_id: Id,
    connections: BTreeMap<Id, Connection>,
    /// The connections that may have more to read, in turn.
    readable: VecDeque<Id>,
    typed: Receiver<Option<Received>>,
    operator: Output,
    /// What the operator's output has not accepted yet.
    printing: String,
    /// The deadline of the server, once it ends.
    ending: Option<Instant>,
}

/// Serves until the operator leaves or `shutdown` closes.
fn run(
    listener: std::net::TcpListener,
    console: Console,
    shutdown: Shutdown,
    max_clients: usize,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    // A second handle keeps the waker alive: if it were dropped right after `wake`, the event
    // would be lost.
    let waker = Arc::new(Waker::new(poll.registry(), CONSOLE)?);
    let _waker = waker.clone();
    let (to_loop, typed) = mpsc::sync_channel(256);
    let operator = Output::new(console.output, console.printed);
    thread::Builder::new()
        .name("forward".into())
        .spawn(move || forward(console.typed, &shutdown, &to_loop, &waker))?;
    let mut server = Server {
        poll,
        listener,
        accept: false,
        max_clients,
        last_id: OPERATOR,
        connections: BTreeMap::new(),
        readable: VecDeque::new(),
        typed,
        operator,
        printing: String::new(),
        ending: None,
    };
    server.run()
}

/// Keyboard and signals to the loop, on a thread that may block. A signal is `None`.
fn forward(
    mut typed: channel::Receiver<Result<String, LineError>>,
    shutdown: &Shutdown,
    to_loop: &SyncSender<Option<Received>>,
    waker: &Waker,
) {
    let mut open = true;
    while open {
        let event = select! {
            recv(typed) -> line => match line {
                Ok(line) => Some(Received::new(OPERATOR, [line])),
                Err(_) => {
                    typed = never();
                    continue;
                }
            },
            recv(shutdown) -> _ => None,
        };
        open = event.is_some();
        if to_loop.send(event).is_err() || waker.wake().is_err() {
            return;
        }
    }
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buf = vec![0; READ];
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let Token(id) = event.token();
                if event.token() == LISTENER {
                    self.accept = true;
                } else if event.is_readable() && !self.readable.contains(&id) {
                    self.readable.push_back(id);
                }
            }
            self.take_typed();
            if self.accept && self.ending.is_none() {
                self.accept();
            }
            self.read(&mut buf);
            self.flush();
            self.check_deadlines();
            let over = self.connections.is_empty() && self.printing.is_empty();
            if let Some(deadline) = self.ending
                && (over || Instant::now() >= deadline)
            {
                self.operator.finish();
                return Ok(());
            }
        }
    }

    /// How long `poll` may wait: not at all while a socket has more to read.
    fn timeout(&self) -> Option<Duration> {
        if !self.readable.is_empty() && !self.is_stalled() {
            return Some(Duration::ZERO);
        }
        let closing = self.connections.values().any(|other| other.closing.is_some());
        let retry = self.accept || closing || self.is_stalled() || !self.printing.is_empty();
        retry.then_some(RETRY)
    }

    fn is_stalled(&self) -> bool {
        self.connections.values().any(|other| other.stalled.is_some())
    }

    fn take_typed(&mut self) {
        loop {
            match self.typed.try_recv() {
                Ok(Some(received)) => self.receive(OPERATOR, received),
                Ok(None) | Err(mpsc::TryRecvError::Disconnected) => return self.end(),
                Err(mpsc::TryRecvError::Empty) => return,
            }
        }
    }

    /// Accepts until no connection is waiting. After an error, most likely that no file descriptor
    /// is free, `accept` stays set.
    fn accept(&mut self) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => return self.accept = error.kind() != ErrorKind::WouldBlock,
            };
            if self.connections.len() >= self.max_clients {
                refuse(stream.into());
                continue;
            }
            let id = self.last_id + 1;
            let registry = self.poll.registry();
            if registry.register(&mut stream, Token(id), Interest::READABLE).is_err() {
                continue;
            }
            self.last_id = id;
            // Fails if the client is gone, which the first read reports.
            let _ = stream.set_nodelay(true);
            let mut connection = Connection::new(stream);
            connection.pending = notice(&format!("you are {}", name(id))).into();
            self.connections.insert(id, connection);
            self.broadcast(id, &notice(&format!("{} joined", name(id))));
        }
    }

    /// Reads each socket once in turn, so that a flood starves no other client.
    fn read(&mut self, buf: &mut [u8]) {
        let (stalled, mut turn) = (self.is_stalled(), 0);
        for _ in 0..self.readable.len() {
            let Some(id) = self.readable.pop_front() else { return };
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let member = connection.closing.is_none();
            // This is all of the backpressure. Closing connections are read in any case.
            if member && (stalled || turn > PENDING) {
                self.readable.push_back(id);
                continue;
            }
            let (at_eof, lines) = match connection.read(buf) {
                Ok(Some(lines)) => (connection.at_eof, lines),
                Ok(None) => continue,
                Err(_) => {
                    self.remove(id);
                    continue;
                }
            };
            if !at_eof {
                self.readable.push_back(id);
            }
            if member {
                let mut received = Received::new(id, lines);
                received.exit |= at_eof;
                turn += received.said.len();
                self.receive(id, received);
            }
        }
    }

    fn receive(&mut self, id: Id, received: Received) {
        self.broadcast(id, &received.said);
        match self.connections.get_mut(&id) {
            Some(connection) => connection.pending.extend(received.errors.bytes()),
            None => self.printing += &received.errors,
        }
        match id {
            OPERATOR if received.exit => self.end(),
            id if received.exit => self.leave(id, Line::Notice("goodbye")),
            _ => {}
        }
    }

    /// Appends to what is pending for all members but the author.
    fn broadcast(&mut self, author: Id, lines: &str) {
        for (id, connection) in &mut self.connections {
            if *id != author && connection.closing.is_none() {
                connection.pending.extend_from_slice(lines.as_bytes());
            }
        }
        // The operator cannot be evicted: while its output stalls, it loses lines.
        if author != OPERATOR && self.printing.len() < PENDING {
            self.printing += lines;
        }
    }

    /// Writes to all. Removing a lost client adds a notice for the others, so this flushes again.
    fn flush(&mut self) {
        self.operator.try_print(&mut self.printing);
        let registry = self.poll.registry();
        let flush = |(id, connection): (&Id, &mut Connection)| {
            connection.flush(*id, registry).is_err().then_some(*id)
        };
        let lost: Vec<_> = self.connections.iter_mut().filter_map(flush).collect();
        if !lost.is_empty() {
            lost.into_iter().for_each(|id| self.remove(id));
            self.flush();
        }
    }

    fn check_deadlines(&mut self) {
        let now = Instant::now();
        let late = |connection: &Connection| connection.stalled.is_some_and(|end| now >= end);
        let ids = |which: &dyn Fn(&Connection) -> bool| -> Vec<Id> {
            let chosen = self.connections.iter().filter(|(_, connection)| which(connection));
            chosen.map(|(id, _)| *id).collect()
        };
        let (late, over) = (ids(&late), ids(&|connection| connection.is_over(now)));
        late.into_iter().for_each(|id| self.leave(id, Line::Error("too slow")));
        over.into_iter().for_each(|id| self.remove(id));
    }

    /// Announces that a member leaves. Its connection stays until all is written and read.
    fn leave(&mut self, id: Id, last: Line<'_>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.close(last, Instant::now() + DEADLINE);
            self.broadcast(id, &notice(&format!("{} left", name(id))));
        }
    }

    /// Closes a socket. The OS forgets that it was registered.
    fn remove(&mut self, id: Id) {
        let removed = self.connections.remove(&id);
        if removed.is_some_and(|connection| connection.closing.is_none()) {
            self.broadcast(id, &notice(&format!("{} left", name(id))));
        }
    }

    fn end(&mut self) {
        let deadline = Instant::now() + DRAIN;
        if self.ending.replace(deadline).is_none() {
            for connection in self.connections.values_mut() {
                if connection.closing.is_none() {
                    connection.close(Line::Notice("goodbye"), deadline);
                }
            }
        }
    }
}
