//! The server's side of one connection: a reader that waits for the socket, and a writer that
//! waits for the outbox.

use std::io::{self, ErrorKind};
use std::time::Duration;

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::batch::{Batch, Id};
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
        let (id, events) = (self.id, self.events.clone());
        // A drop cannot await, so a task sends. `spawn` panics outside a runtime. A runtime that
        // shuts down is still the current one while it drops its tasks.
        // The send fails if the server has ended.
        tokio::spawn(async move { events.send(Event::Left(id)).await });
    }
}

/// Serves one client, as its writer, until it has left and its socket is closed.
pub(crate) async fn run(id: Id, stream: TcpStream, events: Sender<Event>) {
    // Send small writes at once, instead of waiting for the client to acknowledge the last one. An
    // error means that the client is gone, which the reader notices.
    let _ = stream.set_nodelay(true);
    let (input, mut output) = stream.into_split();
    let (sender, outbox) = channel(OUTBOX);
    if events.send(Event::Joined(id, sender)).await.is_err() {
        return;
    }
    let guard = LeaveGuard { id, events: events.clone() };
    let mut reader = JoinSet::new();
    reader.spawn(read(input, LeaveGuard { id, events }));
    // An error here is a lost connection: the drop guards report it.
    let _ = write(&mut output, guard, outbox).await;
    // Closing a socket with unread input resets the connection, which destroys the last lines. So
    // the reader goes on until the client closes its side.
    let _ = output.shutdown().await;
    let _ = timeout(LINGER, reader.join_next()).await;
    // A dropped `JoinHandle` would detach the reader; a `JoinSet` aborts it.
    reader.shutdown().await;
}

/// Socket to hub, until EOF.
async fn read(mut stream: OwnedReadHalf, guard: LeaveGuard) -> io::Result<()> {
    let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
    let mut buf = [0; 4096];
    loop {
        let n = stream.read(&mut buf).await?;
        let lines: Vec<_> = match n {
            0 => decoder.finish().collect(),
            n => decoder.feed(&buf[..n]).collect(),
        };
        let unterminated = lines.last() == Some(&Err(LineError::Unterminated));
        let open = lines.is_empty() || {
            let received = Event::Received(guard.id, lines);
            guard.events.send(received).await.is_ok()
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
async fn write(
    stream: &mut OwnedWriteHalf,
    guard: LeaveGuard,
    mut outbox: Receiver<Batch>,
) -> io::Result<()> {
    while let Some(batch) = outbox.recv().await {
        let bytes = coalesce(batch, &mut outbox);
        let mut rest = &bytes[..];
        let written = write_all_within(stream, &mut rest, WRITE_DEADLINE).await;
        if let Err(error) = written {
            drop(outbox);
            drop(guard);
            return match error.kind() {
                ErrorKind::TimedOut => evict(stream, &bytes, rest.len()).await,
                _ => Err(error),
            };
        }
    }
    let goodbye = format!("{}\n", Line::Notice("goodbye"));
    write_all_within(stream, &mut goodbye.as_bytes(), LINGER).await
}

/// Completes the line that was sent only in part and sends the reason, if the socket accepts it.
///
/// The kernel reports a full socket as writable when a third of its buffer is free. The last lines
/// need less, so this tries every [`RETRY`] instead of waiting for the report.
async fn evict(stream: &mut OwnedWriteHalf, bytes: &[u8], rest: usize) -> io::Result<()> {
    let (written, rest) = bytes.split_at(bytes.len() - rest);
    let mut last = Vec::new();
    if written.last().is_some_and(|byte| *byte != b'\n') {
        let line = rest.split_inclusive(|byte| *byte == b'\n').next();
        last.extend(line.unwrap_or_default());
    }
    last.extend(format!("{}\n", Line::Error("too slow")).as_bytes());
    let deadline = Instant::now() + LINGER;
    let mut rest = &last[..];
    while !rest.is_empty() {
        match SockRef::from(stream.as_ref()).send(rest) {
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() < deadline => sleep(RETRY).await,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `rest` within `limit`, or fails with `TimedOut`; `rest` is then what remains.
///
/// A cancelled `write_all` would lose the position; `write_all_buf` keeps it in `rest`.
async fn write_all_within(
    stream: &mut OwnedWriteHalf,
    rest: &mut &[u8],
    limit: Duration,
) -> io::Result<()> {
    timeout(limit, stream.write_all_buf(rest)).await?
}

/// Joins the batches that are queued, up to [`WRITE`] bytes, into one.
fn coalesce(batch: Batch, outbox: &mut Receiver<Batch>) -> Vec<u8> {
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
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_reports_that_its_client_left() {
        let (events, mut inbox) = channel(1);
        let guard = LeaveGuard { id: 7, events };
        let died = tokio::spawn(async move {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(matches!(inbox.recv().await, Some(Event::Left(7))));
        assert!(died.await.is_err());
    }
}
