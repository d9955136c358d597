//! A fixed pool of threads, each of which serves one client at a time.
//!
//! Every worker accepts a connection, serves it until it ends, and accepts the next one. A client
//! has no thread that writes to it: the worker of the talker writes to all sockets, one by one.
//!
//! - *Gain:* the number of workers bounds threads, memory and file descriptors. There is no `accept`
//!   thread, no queue, and no connection limit to check. For short requests this is all a server
//!   needs.
//! - *Cost:* a chat client stays. With all workers busy, the next client is connected, because the
//!   OS completes the handshake, but no worker accepts it: it gets neither a greeting nor a refusal
//!   until another client leaves. A client that lingers after `/exit` keeps a worker busy.
//! - *Cost:* without outboxes, the lines of a talker wait for every reader in turn, and all other
//!   talkers wait for the lock. A stalled client costs the room up to two seconds, until its write
//!   times out and the client is evicted.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown as Close, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::{LineDecoder, LineError, MAX_TEXT};
use step3_multiclient::console::Console;
use step3_multiclient::server::DRAIN;
use step3_multiclient::signals::Shutdown;

mod parts;

use parts::{Id, OPERATOR, Output, Received, name, notice, operate};

/// How long one call of `write` may take. After this time no other call begins, so the lines of one
/// read may take twice as long.
const WRITE_DEADLINE: Duration = Duration::from_secs(1);

/// How long a client may take to close its side.
const LINGER: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    parts::run(16, run)
}

struct Pool {
    room: Mutex<Room>,
    worker_free: Condvar,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Room {
    /// Writing happens with the room locked, so that no two lines are mixed.
    members: HashMap<Id, Arc<TcpStream>>,
    operator: Output,
    last_id: Id,
    busy_workers: usize,
}

impl Room {
    fn join(&mut self, stream: &Arc<TcpStream>) -> Id {
        self.last_id += 1;
        let id = self.last_id;
        self.members.insert(id, stream.clone());
        self.send(id, &notice(&format!("you are {}", name(id))));
        self.broadcast(id, &notice(&format!("{} joined", name(id))));
        id
    }

    /// Ends the membership, with a goodbye if the client still is a member.
    fn leave(&mut self, id: Id) {
        self.send(id, &notice("goodbye"));
        if let Some(stream) = self.members.remove(&id) {
            // Fails if the connection is lost.
            let _ = stream.shutdown(Close::Write);
            self.broadcast(id, &notice(&format!("{} left", name(id))));
        }
    }

    /// Writes to one member, or evicts it.
    fn send(&mut self, id: Id, lines: &str) {
        let written = self.members.get(&id).map(|stream| write_within(stream, lines));
        if written.is_some_and(|written| written.is_err()) {
            self.evict(id);
        }
    }

    /// Writes to all but the author, one after the other.
    fn broadcast(&mut self, author: Id, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let others: Vec<_> = self.members.keys().copied().filter(|id| *id != author).collect();
        for id in others {
            self.send(id, lines);
        }
        if author != OPERATOR {
            self.operator.print(lines);
        }
    }

    /// Disconnects a client that is gone or too slow. Its worker reads EOF and is free.
    fn evict(&mut self, id: Id) {
        if let Some(stream) = self.members.remove(&id) {
            // No time is left for a reason, or for the rest of the line.
            let _ = stream.shutdown(Close::Both);
            self.broadcast(id, &notice(&format!("{} left", name(id))));
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
    let room = Room { members: HashMap::new(), operator, last_id: OPERATOR, busy_workers: 0 };
    let listener = Arc::new(listener);
    let pool = Arc::new(Pool { room: Mutex::new(room), worker_free: Condvar::new() });
    let room = pool.lock();
    for n in 1..=max_clients {
        let (listener, pool) = (listener.clone(), pool.clone());
        // Never joined: most wait in `accept`, where they end with the process.
        let worker = thread::Builder::new().name(format!("worker-{n}"));
        worker.spawn(move || work(&listener, &pool))?;
    }
    // No client is greeted before all workers run.
    drop(room);
    operate(console.typed, &shutdown, |received| {
        let mut room = pool.lock();
        room.broadcast(OPERATOR, &received.said);
        room.operator.print(&received.errors);
    });
    let mut room = pool.lock();
    for (_, stream) in room.members.drain() {
        // A stalled client must not delay the goodbyes of the others.
        let _ = stream.set_nonblocking(true);
        let _ = (&*stream).write(notice("goodbye").as_bytes());
        let _ = stream.shutdown(Close::Write);
        let _ = stream.set_nonblocking(false);
    }
    let busy = |room: &mut Room| room.busy_workers > 0;
    let drained = pool.worker_free.wait_timeout_while(room, DRAIN, busy);
    drained.unwrap_or_else(PoisonError::into_inner).0.operator.finish();
    Ok(())
}

/// Serves one client after the other. All workers wait in `accept` on the same listener.
fn work(listener: &TcpListener, pool: &Pool) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        // An error means that the client is gone, which `read` notices.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WRITE_DEADLINE));
        let stream = Arc::new(stream);
        let mut room = pool.lock();
        room.busy_workers += 1;
        let id = room.join(&stream);
        drop(room);
        // An error is a lost connection.
        let _ = read(id, &stream, pool);
        pool.lock().leave(id);
        // Closing a socket with unread input resets the connection. The worker is busy meanwhile.
        let _ = discard(&stream);
        // Closed before the worker counts as free. The room has dropped its handle.
        drop(stream);
        pool.lock().busy_workers -= 1;
        pool.worker_free.notify_one();
    }
}

/// Socket to room, until `/exit` or EOF.
fn read(id: Id, mut stream: &TcpStream, pool: &Pool) -> io::Result<()> {
    let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
    let mut buf = [0; 4096];
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
        let received = Received::new(id, lines);
        let mut room = pool.lock();
        if !room.members.contains_key(&id) {
            return Ok(());
        }
        room.broadcast(id, &received.said);
        room.send(id, &received.errors);
        if unterminated {
            room.evict(id);
        }
        if n == 0 || received.exit {
            return Ok(());
        }
    }
}

/// Reads until EOF, for at most [`LINGER`].
fn discard(mut stream: &TcpStream) -> io::Result<()> {
    let deadline = Instant::now() + LINGER;
    let mut buf = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut buf)? == 0 {
            return Ok(());
        }
    }
}

/// Writes all of `lines`, or fails with `TimedOut`.
fn write_within(mut stream: &TcpStream, lines: &str) -> io::Result<()> {
    let deadline = Instant::now() + WRITE_DEADLINE;
    let mut rest = lines.as_bytes();
    while !rest.is_empty() {
        let n = stream.write(rest)?;
        rest = &rest[n..];
        if !rest.is_empty() && Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}
