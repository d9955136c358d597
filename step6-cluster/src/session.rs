//! The server's side of one connection: one task that reads and writes, whichever its socket is
//! ready for.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::batch::{Batch, Id};
use crate::hub::Event;
use crate::reader::read;
use crate::timer::expiry;
use crate::writer::Writer;

/// How long a client may take to close its side after the goodbye.
const LINGER: Duration = Duration::from_secs(1);

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

/// Why a session ended.
enum Ending {
    /// The goodbye is written. The client may still send, unless its input has ended.
    Goodbye {
        open: bool,
    },
    /// The socket accepted nothing for too long.
    TooSlow,
    Lost(io::Error),
}

/// Serves one client until it has left and its socket is closed.
pub(crate) async fn run(
    id: Id,
    stream: TcpStream,
    addr: SocketAddr,
    events: Sender<Event>,
    rate: u32,
) {
    // Send small writes at once, instead of waiting for the client to acknowledge the last one. An
    // error means that the client is gone, which the reader notices.
    let _ = stream.set_nodelay(true);
    let (sender, outbox) = unbounded_channel();
    if events.send(Event::Joined(id, sender)).await.is_err() {
        return;
    }
    let guard = LeaveGuard { id, events };
    match serve(&stream, &guard, outbox, rate).await {
        Ending::Goodbye { open } => close(stream, open).await,
        Ending::TooSlow => {
            warn!(id, %addr, "disconnected: the socket accepted no data for too long")
        }
        Ending::Lost(error) => debug!(id, %addr, %error, "connection lost"),
    }
}

/// Runs both halves in one task: they borrow the same socket, so neither needs an `Arc`.
async fn serve(
    stream: &TcpStream,
    guard: &LeaveGuard,
    outbox: UnboundedReceiver<Arc<Batch>>,
    rate: u32,
) -> Ending {
    // Pinned, and polled by reference: a half that loses a `select!` goes on where it was. A send
    // that is dropped and started again would lose its place in the queue each time.
    let mut reading = pin!(read(guard.id, stream, &guard.events, rate));
    let mut writing = pin!(write(guard.id, stream, outbox));
    let mut reads = true;
    loop {
        select! {
            written = &mut writing => return match written {
                Ok(true) => Ending::Goodbye { open: reads },
                Ok(false) => Ending::TooSlow,
                Err(error) => Ending::Lost(error),
            },
            read = &mut reading, if reads => match read {
                Ok(()) => reads = false,
                Err(error) => return Ending::Lost(error),
            },
        }
    }
}

/// Outbox to socket, until the hub drops the sender and the goodbye is written. Returns `false`
/// for a client that is too slow.
async fn write(
    id: Id,
    stream: &TcpStream,
    mut outbox: UnboundedReceiver<Arc<Batch>>,
) -> io::Result<bool> {
    let mut writer = Writer::new(id);
    while !writer.is_done() {
        select! {
            next = outbox.recv(), if writer.accepts() => match next {
                Some(batch) => writer.push(batch),
                None => writer.close(),
            },
            ready = stream.writable(), if writer.is_blocked() => ready?,
            () = expiry(writer.deadline()) => {
                // The runtime reports a full socket as writable when a third of its buffer is free.
                // A slow reader may have freed less: ask the socket itself.
                writer.write(|slices| SockRef::from(stream).send_vectored(slices))?;
                if !writer.on_deadline() {
                    return Ok(false);
                }
            }
        }
        writer.write(|slices| match slices {
            [slice] => stream.try_write(slice),
            slices => stream.try_write_vectored(slices),
        })?;
    }
    Ok(true)
}

/// Closes the connection so that the client receives the goodbye: closing a socket with unread
/// input resets the connection. `open` says whether the client may still send.
async fn close(mut stream: TcpStream, open: bool) {
    // Fails if the connection is lost.
    let _ = stream.shutdown().await;
    if open {
        // On the heap, and only now: a buffer in the future would cost every connection its size.
        let mut rest = vec![0; 8 * 1024];
        // `read` counts in the scheduler's budget, so a client that keeps sending starves no other task.
        let drain = async { while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
        // A client that keeps sending is reset.
        let _ = timeout(LINGER, drain).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

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
