//! The server's side of one connection: a reader that awaits the socket, and a writer that awaits
//! the outbox.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::timeout,
};

use crate::hub::{Event, Id, Peer};

/// How many lines, or batches of lines, may wait for a client before the hub has to.
const OUTBOX: usize = 256;

/// How many bytes go to a socket at once; the last line may exceed it.
pub(crate) const BATCH: usize = 64 * 1024;

/// How long a socket may take over one batch before its client is too slow to stay.
pub const STUCK: Duration = Duration::from_millis(250);

/// How long a client may take over its last lines, and then over closing its side.
const LINGER: Duration = Duration::from_secs(1);

/// Reports that a client left, when it is dropped: a task that panics drops it, too.
struct Leaving {
    id: Id,
    events: Sender<Event>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let (id, events) = (self.id, self.events.clone());
        // A drop cannot await, so a task does. It fails if the server has ended.
        tokio::spawn(async move { events.send(Event::Left(id)).await });
    }
}

/// Serves one client until it has left and its connection is closed. This task is its writer.
pub(crate) async fn run(id: Id, stream: TcpStream, seat: Arc<()>, events: Sender<Event>) {
    // Fails for a client that is gone, which its reader learns.
    let _ = stream.set_nodelay(true);
    let (input, mut output) = stream.into_split();
    let (outbox, lines) = channel(OUTBOX);
    if events
        .send(Event::Joined(id, Peer { seat, outbox }))
        .await
        .is_err()
    {
        return;
    }
    let leaving = Leaving { id, events };
    let mut reader = JoinSet::new();
    reader.spawn({
        let leaving = Leaving {
            id,
            events: leaving.events.clone(),
        };
        read(input, leaving)
    });
    // A connection that breaks is how clients vanish: `Left` says all that there is to say.
    let _ = write(&mut output, lines, leaving).await;
    // Closing with input unread would reset the connection and destroy the last lines.
    let _ = output.shutdown().await;
    let _ = timeout(LINGER, reader.join_next()).await;
    // A reader that still waits is aborted with its set. A dropped handle would detach it.
}

/// Socket to hub, until the end of input. Then it drops `leaving`.
async fn read(mut stream: OwnedReadHalf, leaving: Leaving) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_TEXT);
    let mut buf = [0; 4096];
    loop {
        let n = stream.read(&mut buf).await?;
        let lines: Vec<_> = match n {
            0 => decoder.finish().collect(),
            n => decoder.feed(&buf[..n]).collect(),
        };
        let flood = lines.last() == Some(&Err(LineError::Flood));
        let heard = leaving.events.send(Event::Heard(leaving.id, lines)).await;
        if n == 0 || flood || heard.is_err() {
            return Ok(());
        }
    }
}

/// Outbox to socket, until the hub drops the outbox; then the farewell.
///
/// A client that does not take a batch within [`STUCK`] is evicted. Dropping `lines` then tells the
/// hub, which may be waiting in a send; dropping `leaving` tells it in any case.
async fn write(
    stream: &mut OwnedWriteHalf,
    mut lines: Receiver<Arc<str>>,
    leaving: Leaving,
) -> io::Result<()> {
    while let Some(line) = lines.recv().await {
        let batch = gather(line, &mut lines);
        let mut rest = &batch[..];
        let written = write_all_within(stream, &mut rest, STUCK).await;
        if let Err(error) = written {
            drop(lines);
            drop(leaving);
            return match error.kind() {
                ErrorKind::TimedOut => evict(stream, &batch, rest.len()).await,
                _ => Err(error),
            };
        }
    }
    let goodbye = format!("{}\n", Line::Notice("goodbye"));
    write_all_within(stream, &mut goodbye.as_bytes(), STUCK).await
}

/// Finishes the line that was cut and says why there are no more, if the socket takes it.
async fn evict(stream: &mut OwnedWriteHalf, batch: &[u8], rest: usize) -> io::Result<()> {
    let (taken, rest) = batch.split_at(batch.len() - rest);
    let mut last = Vec::new();
    if taken.last().is_some_and(|&byte| byte != b'\n') {
        last.extend(
            rest.split_inclusive(|&byte| byte == b'\n')
                .next()
                .unwrap_or_default(),
        );
    }
    last.extend(format!("{}\n", Line::Error("too slow")).as_bytes());
    write_all_within(stream, &mut &last[..], LINGER).await
}

/// Writes all of `rest` within `limit`, or fails with `TimedOut`; then `rest` is what was not taken.
///
/// `write_all` would lose the position when the time is over; `write_all_buf` keeps it in `rest`.
async fn write_all_within(
    stream: &mut OwnedWriteHalf,
    rest: &mut &[u8],
    limit: Duration,
) -> io::Result<()> {
    timeout(limit, stream.write_all_buf(rest)).await?
}

/// The bytes of `line` and of what is queued behind it, up to [`BATCH`].
pub(crate) fn gather(line: Arc<str>, lines: &mut Receiver<Arc<str>>) -> Vec<u8> {
    // What is queued is about as long, line by line.
    let mut batch = Vec::with_capacity((line.len() * (1 + lines.len())).min(2 * BATCH));
    batch.extend_from_slice(line.as_bytes());
    while batch.len() < BATCH
        && let Ok(line) = lines.try_recv()
    {
        batch.extend_from_slice(line.as_bytes());
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_reports_that_its_client_left() {
        let (events, mut inbox) = channel(1);
        let leaving = Leaving { id: 7, events };
        let died = tokio::spawn(async move {
            let _leaving = leaving;
            panic!("on purpose");
        });
        assert!(matches!(inbox.recv().await, Some(Event::Left(7))));
        assert!(died.await.is_err());
    }
}
