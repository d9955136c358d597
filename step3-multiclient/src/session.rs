//! The server's side of one connection: a reader that waits for the socket, and a writer that
//! waits for the outbox.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::batch::{Batch, Id};
use crate::console::status;
use crate::hub::Event;

/// The capacity of an outbox in batches. When it is full, the hub waits.
const OUTBOX: usize = 256;

/// How many bytes the writer coalesces into one write; the last batch may exceed it.
const WRITE: usize = 64 * 1024;

/// How long a socket may take to accept one write before its client is evicted.
///
/// Longer than a retransmission timeout of TCP (200 ms and more): a lost packet evicts no client.
///
/// The kernel wakes a writer when a third of the send buffer is free. So a client that reads less
/// than about 256 KB/s may be evicted while the room sends more than that.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(1);

/// How long a client may take to accept its last lines, and then to close its side.
const LINGER: Duration = Duration::from_secs(1);

/// How long the writer waits between two attempts to write the last lines.
const RETRY: Duration = Duration::from_millis(10);

/// A drop guard that reports that a client left, even after a panic.
struct LeaveGuard {
    id: Id,
    events: Sender<Event>,
}

impl Drop for LeaveGuard {
    fn drop(&mut self) {
        // The send fails if the server has ended.
        let _ = self.events.send(Event::Left(self.id));
    }
}

/// Serves one client, as its writer, until it has left and its socket is closed.
pub(crate) fn run(id: Id, stream: TcpStream, events: Sender<Event>) {
    // Send small writes at once, instead of waiting for the client to acknowledge the last one. An
    // error means that the client is gone, which the reader notices.
    let _ = stream.set_nodelay(true);
    // `spawn` asks for `Send`, because what a thread owns moves to it, and for `'static`, because a
    // thread may outlive this function: it cannot borrow the socket. So both threads own it. They
    // need no `&mut`: `&TcpStream` implements `Read` and `Write`, too.
    let stream = Arc::new(stream);
    let (sender, outbox) = bounded(OUTBOX);
    if events.send(Event::Joined(id, sender)).is_err() {
        return;
    }
    let guard = LeaveGuard { id, events: events.clone() };
    let (end, on_end) = bounded::<()>(0);
    // Linux shortens names to 15 bytes. The role comes first, so that it always stays.
    let reader = thread::Builder::new().name(format!("reader-{id}"));
    let reader = reader.spawn({
        let stream = stream.clone();
        move || {
            // Closes the channel when this thread ends. `let _ = end` would not even move `end` in
            // here: `_` is no variable, so it owns nothing.
            let _end = end;
            read(&stream, LeaveGuard { id, events })
        }
    });
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            status(format_args!("cannot start a reader: {error}"));
            // Before the guard, as in `write`.
            return drop(outbox);
        }
    };
    // An error here is a lost connection: the drop guards report it.
    let _ = write(&stream, guard, outbox);
    // Closing a socket with unread input resets the connection, which destroys the last lines. So
    // the reader goes on until the client closes its side.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = on_end.recv_timeout(LINGER);
    // Wakes a reader that is blocked. Fails if the connection is lost.
    let _ = stream.shutdown(Shutdown::Both);
    // If the reader panicked, its guard has reported it.
    let _ = reader.join();
}

/// Socket to hub, until EOF.
fn read(mut stream: &TcpStream, guard: LeaveGuard) -> io::Result<()> {
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
        let open = lines.is_empty() || {
            let received = Event::Received(guard.id, lines);
            guard.events.send(received).is_ok()
        };
        if n == 0 || unterminated || !open {
            return Ok(());
        }
    }
}

/// Outbox to socket, until the hub drops the sender; then the goodbye.
///
/// At [`WRITE_DEADLINE`] the writer evicts its client. The drop order prevents a deadlock: the hub
/// may be waiting for space in this outbox, and it takes no event before that wait ends. So the
/// receiver is dropped first, and only then the guard, whose `Left` may have to wait for space in
/// the event queue. Parameters are dropped in reverse order, so a panic keeps this order, too.
///
/// On threads, the guard itself waits for that space. On Tokio, another task waits, so there either
/// order is safe.
fn write(stream: &TcpStream, guard: LeaveGuard, outbox: Receiver<Batch>) -> io::Result<()> {
    while let Ok(batch) = outbox.recv() {
        #[cfg(test)]
        assert_ne!(&*batch, tests::PANIC);
        let bytes = coalesce(batch, &outbox);
        let mut rest = &bytes[..];
        let written = write_all_within(stream, &mut rest, WRITE_DEADLINE);
        if let Err(error) = written {
            drop(outbox);
            drop(guard);
            return match error.kind() {
                ErrorKind::TimedOut => evict(stream, &bytes, rest.len()),
                _ => Err(error),
            };
        }
    }
    let goodbye = format!("{}\n", Line::Notice("goodbye"));
    write_all_within(stream, &mut goodbye.as_bytes(), LINGER)
}

/// Completes the line that was sent only in part and sends the reason, if the socket accepts it.
///
/// The kernel reports a full socket as writable when a third of its buffer is free. The last lines
/// need less, so this tries every [`RETRY`] instead of waiting for the report.
fn evict(stream: &TcpStream, bytes: &[u8], rest: usize) -> io::Result<()> {
    let (written, rest) = bytes.split_at(bytes.len() - rest);
    let mut last = Vec::new();
    if written.last().is_some_and(|byte| *byte != b'\n') {
        let line = rest.split_inclusive(|byte| *byte == b'\n').next();
        last.extend(line.unwrap_or_default());
    }
    last.extend(format!("{}\n", Line::Error("too slow")).as_bytes());
    let deadline = Instant::now() + LINGER;
    let mut rest = &last[..];
    loop {
        match write_all_within(stream, &mut rest, RETRY) {
            Err(error) if error.kind() == ErrorKind::TimedOut && Instant::now() < deadline => {}
            written => return written,
        }
    }
}

/// Writes all of `rest` within `limit`, or fails with `TimedOut`; `rest` is then what remains.
///
/// The timeout of a socket is for one call, so before each call this sets it to the time that is
/// left.
fn write_all_within(mut stream: &TcpStream, rest: &mut &[u8], limit: Duration) -> io::Result<()> {
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
                // A timeout is `WouldBlock` on Unix, `TimedOut` on Windows.
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Joins the batches that are queued, up to [`WRITE`] bytes, into one.
fn coalesce(batch: Batch, outbox: &Receiver<Batch>) -> Vec<u8> {
    // A guess that saves reallocation: queued batches are about equally long.
    let mut bytes = Vec::with_capacity((batch.len() * (1 + outbox.len())).min(2 * WRITE));
    bytes.extend_from_slice(batch.as_bytes());
    while bytes.len() < WRITE
        && let Ok(batch) = outbox.try_recv()
    {
        bytes.extend_from_slice(batch.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A batch that makes the writer panic.
    pub(super) const PANIC: &str = "on purpose";

    #[test]
    fn a_thread_that_panics_reports_that_its_client_left() {
        let (events, inbox) = bounded(1);
        let guard = LeaveGuard { id: 7, events };
        let died = thread::spawn(move || {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(matches!(inbox.recv(), Ok(Event::Left(7))));
        assert!(died.join().is_err());
    }

    #[test]
    fn a_writer_that_panics_frees_a_hub_that_waits_for_its_outbox() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Space for no event, as in a queue that is full: `send` waits until the hub takes it.
        let (events, inbox) = bounded(0);
        let (sender, outbox) = bounded(1);
        let guard = LeaveGuard { id: 7, events };
        let writer = thread::spawn(move || write(&stream, guard, outbox));
        // This thread is the hub: while it waits in `send`, it takes no event.
        let patience = Duration::from_secs(5);
        let mut sent = Ok(());
        while sent.is_ok() {
            sent = sender.send_timeout(PANIC.into(), patience);
        }
        assert!(sent.is_err_and(|error| error.is_disconnected()));
        assert!(matches!(inbox.recv_timeout(patience), Ok(Event::Left(7))));
        assert!(writer.join().is_err());
    }
}
