//! The room behind a lock: `Mutex<Room>` instead of a hub.
//!
//! ```text
//! client-1 reader ─┐           ┌─ outbox ─ client-1 writer
//! client-2 reader ─┼─ the lock ┼─ outbox ─ client-2 writer
//! main (operator) ─┘           └─ outbox ─ printer
//! ```
//!
//! The lock does what the hub does: it puts joins, lines and leaves into one order. The reader that
//! holds it delivers its own lines.
//!
//! - *Gain:* one queue less, and no thread switch between a reader and the outboxes.
//! - *Cost:* the rules of the lock are in no signature. A thread that holds it waits for a full
//!   outbox, and meanwhile no client joins or leaves. So a writer must drop its outbox before it
//!   takes the lock, or both wait forever. A hub that waits stops the room as well, but the step
//!   needs this rule only before it drops its guard; here it holds at every `lock`. The lock is not
//!   fair, so the end of the server needs a flag beside it. A panic poisons it.
//! - *Cost:* each read is a delivery of its own. The hub collects the reads of many clients first.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown as Close, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use crossbeam_channel::{Receiver, Sender, bounded};
use step3_multiclient::console::{Console, status};
use step3_multiclient::server::DRAIN;
use step3_multiclient::signals::Shutdown;

mod parts;

use parts::{Id, OPERATOR, Output, Received, name, notice, operate, refuse};

// As in the step.
const OUTBOX: usize = 256;
const WRITE: usize = 64 * 1024;
const WRITE_DEADLINE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    parts::run(1000, run)
}

/// What all threads share.
struct Shared {
    room: Mutex<Room>,
    /// The flag that `main` sets before it takes the lock for the last time. Then readers do not
    /// compete for the lock.
    ending: AtomicBool,
    session_ended: Condvar,
}

impl Shared {
    /// A panic with the lock held poisons it. The room is still in order: it changes in one call.
    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The members, and the number of sessions, which is larger while sessions linger.
struct Room {
    members: HashMap<Id, Sender<Arc<str>>>,
    operator: Output,
    sessions: usize,
}

impl Room {
    fn join(&mut self, id: Id, outbox: Sender<Arc<str>>) {
        self.members.insert(id, outbox);
        self.send(id, &notice(&format!("you are {}", name(id))));
        self.broadcast(id, &notice(&format!("{} joined", name(id))));
    }

    /// Delivers the lines of one read. Returns whether the client is still a member.
    fn receive(&mut self, id: Id, received: &Received) -> bool {
        if !self.members.contains_key(&id) {
            return false;
        }
        self.send(id, &received.errors);
        self.broadcast(id, &received.said);
        if received.exit {
            self.leave(id);
        }
        !received.exit
    }

    /// Drops the outbox, whose end is the goodbye.
    fn leave(&mut self, id: Id) {
        if self.members.remove(&id).is_some() {
            self.broadcast(id, &notice(&format!("{} left", name(id))));
        }
    }

    fn send(&self, id: Id, lines: &str) {
        if !lines.is_empty() {
            // Fails if the writer has given up. It takes the lock next, and leaves.
            let _ = self.members[&id].send(lines.into());
        }
    }

    /// Sends to all but the author. Waits, with the lock held, while an outbox is full. Its writer
    /// ends the wait: it takes a batch, or it drops its receiver at its deadline.
    fn broadcast(&mut self, author: Id, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let batch = Arc::from(lines);
        for (_, outbox) in self.members.iter().filter(|(id, _)| **id != author) {
            // Fails as in `send`.
            let _ = outbox.send(Arc::clone(&batch));
        }
        if author != OPERATOR {
            self.operator.print(lines);
        }
    }
}

/// Serves until the operator leaves or `shutdown` closes.
fn run(
    listener: TcpListener,
    console: Console,
    shutdown: Shutdown,
    max_clients: usize,
) -> io::Result<()> {
    let operator = Output::new(console.output, console.printed);
    let room = Mutex::new(Room { members: HashMap::new(), operator, sessions: 0 });
    let (ending, session_ended) = (AtomicBool::new(false), Condvar::new());
    let shared = Arc::new(Shared { room, ending, session_ended });
    // Never joined: it may be blocked in `accept`, where it ends with the process.
    thread::Builder::new().name("accept".into()).spawn({
        let shared = shared.clone();
        move || accept(&listener, max_clients, &shared)
    })?;
    operate(console.typed, &shutdown, |received| {
        let mut room = shared.lock();
        room.broadcast(OPERATOR, &received.said);
        room.operator.print(&received.errors);
    });
    shared.ending.store(true, Ordering::Relaxed);
    let mut room = shared.lock();
    room.members.clear();
    let busy = |room: &mut Room| room.sessions > 0;
    // The sessions that remain end with the process.
    let drained = shared.session_ended.wait_timeout_while(room, DRAIN, busy);
    drained.unwrap_or_else(PoisonError::into_inner).0.operator.finish();
    Ok(())
}

fn accept(listener: &TcpListener, max_clients: usize, shared: &Arc<Shared>) {
    let mut id = OPERATOR;
    while !shared.ending.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, most likely. That goes away by itself.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let mut room = shared.lock();
        if room.sessions == max_clients {
            drop(room);
            refuse(stream);
            continue;
        }
        room.sessions += 1;
        drop(room);
        id += 1;
        let guard = Session { shared: shared.clone(), id };
        let writer = thread::Builder::new().name(format!("writer-{id}"));
        // If it fails, this drops the closure, and with it the socket and the guard.
        if let Err(error) = writer.spawn(move || guard.run(&stream)) {
            status(format_args!("cannot start a writer: {error}"));
        }
    }
}

/// A drop guard that counts a session and ends its membership, even after a panic.
struct Session {
    shared: Arc<Shared>,
    id: Id,
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut room = self.shared.lock();
        room.leave(self.id);
        room.sessions -= 1;
        self.shared.session_ended.notify_one();
    }
}

impl Session {
    /// Serves one client, as its writer, until it has left.
    fn run(self, stream: &TcpStream) {
        // An error means that the client is gone, which the reader notices.
        let _ = stream.set_nodelay(true);
        let (sender, outbox) = bounded(OUTBOX);
        self.shared.lock().join(self.id, sender);
        let (end, on_end) = bounded::<()>(0);
        thread::scope(|threads| {
            let reader = thread::Builder::new().name(format!("reader-{}", self.id));
            let reader = reader.spawn_scoped(threads, || {
                let _end = end;
                // An error is a lost connection: the client has left.
                let _ = self.read(stream);
                self.shared.lock().leave(self.id);
            });
            if reader.is_ok() {
                // Likewise.
                let _ = self.write(stream, outbox);
            }
            // The step explains these three lines.
            let _ = stream.shutdown(Close::Write);
            let _ = on_end.recv_timeout(LINGER);
            let _ = stream.shutdown(Close::Both);
        });
    }

    /// Socket to room, until EOF. After `/exit`, it discards what it reads.
    fn read(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
        let mut buf = [0; 4096];
        let mut member = true;
        loop {
            let n = match stream.read(&mut buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                n => n?,
            };
            let lines: Vec<_> = match n {
                0 => decoder.finish().collect(),
                n => decoder.feed(&buf[..n]).collect(),
            };
            let unterminated = lines.last() == Some(&Err(LineError::Unterminated));
            if member && !lines.is_empty() && !self.shared.ending.load(Ordering::Relaxed) {
                // Formatted before the lock is taken.
                let received = Received::new(self.id, lines);
                member = self.shared.lock().receive(self.id, &received);
            }
            if n == 0 || unterminated {
                return Ok(());
            }
        }
    }

    /// Outbox to socket, until the room drops the sender; then the goodbye.
    fn write(&self, stream: &TcpStream, outbox: Receiver<Arc<str>>) -> io::Result<()> {
        while let Ok(batch) = outbox.recv() {
            let mut bytes = batch.as_bytes().to_vec();
            while bytes.len() < WRITE
                && let Ok(batch) = outbox.try_recv()
            {
                bytes.extend_from_slice(batch.as_bytes());
            }
            let mut rest = &bytes[..];
            if let Err(error) = write_within(stream, &mut rest, WRITE_DEADLINE) {
                // In this order: the thread that holds the lock may be waiting for this outbox.
                drop(outbox);
                self.shared.lock().leave(self.id);
                return match error.kind() {
                    ErrorKind::TimedOut => evict(stream, &bytes, rest.len()),
                    _ => Err(error),
                };
            }
        }
        write_within(stream, &mut notice("goodbye").as_bytes(), LINGER)
    }
}

/// Completes the line that was sent only in part and sends the reason, as in the step.
fn evict(stream: &TcpStream, bytes: &[u8], rest: usize) -> io::Result<()> {
    let (written, rest) = bytes.split_at(bytes.len() - rest);
    let whole = written.last().is_none_or(|byte| *byte == b'\n');
    let line = rest.split_inclusive(|byte| *byte == b'\n').next().filter(|_| !whole);
    let reason = format!("{}\n", Line::Error("too slow"));
    let last = [line.unwrap_or_default(), reason.as_bytes()].concat();
    let deadline = Instant::now() + LINGER;
    let mut rest = &last[..];
    loop {
        match write_within(stream, &mut rest, RETRY) {
            Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
            written => return written,
        }
    }
}

/// Writes all of `rest` within `limit`, or fails with `TimedOut`, as in the step.
fn write_within(mut stream: &TcpStream, rest: &mut &[u8], limit: Duration) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(n) => *rest = &rest[n..],
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}
