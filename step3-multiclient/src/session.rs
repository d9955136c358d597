//! The server's side of one connection: a reader that blocks on the socket, and a writer that
//! blocks on the outbox.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use common::{Line, LineDecoder, LineError, MAX_TEXT};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    hub::{self, Event, Id, Peer},
    log,
};

/// How many lines, or batches of lines, may wait for a client before the hub has to.
const OUTBOX: usize = 256;

/// How many bytes go to a socket at once; the last line may exceed it.
pub(crate) const BATCH: usize = 64 * 1024;

/// How long a socket may take over one batch before its client is too slow to stay.
pub const STUCK: Duration = Duration::from_millis(250);

/// How long a client may take over its last lines, and then over closing its side.
const LINGER: Duration = Duration::from_secs(1);

/// Reports that a client left, when it is dropped: a thread that panics drops it, too.
struct Leaving {
    id: Id,
    events: Sender<Event>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Fails if the server has ended.
        let _ = self.events.send(Event::Left(self.id));
    }
}

/// Serves one client until it has left and its connection is closed. This thread is its writer.
pub(crate) fn run(id: Id, stream: TcpStream, seat: Arc<()>, events: Sender<Event>) {
    // Fails for a client that is gone, which its reader learns.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let (outbox, lines) = bounded(OUTBOX);
    if events
        .send(Event::Joined(id, Peer { seat, outbox }))
        .is_err()
    {
        return;
    }
    let (reading, read_to_end) = bounded::<()>(0);
    let leaving = Leaving { id, events };
    let reader = thread::Builder::new().name(hub::name(id) + " reader");
    let reader = reader.spawn({
        let stream = stream.clone();
        let leaving = Leaving {
            id,
            events: leaving.events.clone(),
        };
        move || {
            let _reading = reading;
            read(&stream, leaving)
        }
    });
    if let Err(error) = reader {
        log(format_args!("cannot start a reader: {error}"));
    }
    // A connection that breaks is how clients vanish: `Left` says all that there is to say.
    let _ = write(&stream, lines, leaving);
    // Closing with input unread would reset the connection and destroy the last lines.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = read_to_end.recv_timeout(LINGER);
    // Wakes a blocked reader. Nothing gentler does.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Socket to hub, until the end of input. Then it drops `leaving`.
fn read(mut stream: &TcpStream, leaving: Leaving) -> io::Result<()> {
    let mut decoder = LineDecoder::new(MAX_TEXT);
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
        let flood = lines.last() == Some(&Err(LineError::Flood));
        let heard = leaving.events.send(Event::Heard(leaving.id, lines));
        if n == 0 || flood || heard.is_err() {
            return Ok(());
        }
    }
}

/// Outbox to socket, until the hub drops the outbox; then the farewell.
///
/// A client that does not take a batch within [`STUCK`] is evicted. Dropping `lines` then tells the
/// hub, which may be waiting in a send; dropping `leaving` tells it in any case.
fn write(stream: &TcpStream, lines: Receiver<Arc<str>>, leaving: Leaving) -> io::Result<()> {
    while let Ok(line) = lines.recv() {
        let batch = gather(line, &lines);
        let mut rest = &batch[..];
        let written = write_all_within(stream, &mut rest, STUCK);
        if let Err(error) = written {
            drop(lines);
            drop(leaving);
            return match error.kind() {
                ErrorKind::TimedOut => evict(stream, &batch, rest.len()),
                _ => Err(error),
            };
        }
    }
    let goodbye = format!("{}\n", Line::Notice("goodbye"));
    write_all_within(stream, &mut goodbye.as_bytes(), STUCK)
}

/// Finishes the line that was cut and says why there are no more, if the socket takes it.
fn evict(stream: &TcpStream, batch: &[u8], rest: usize) -> io::Result<()> {
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
    write_all_within(stream, &mut &last[..], LINGER)
}

/// Writes all of `rest` within `limit`, or fails with `TimedOut`; then `rest` is what was not taken.
///
/// The timeout of a socket is for each call, so the time left is set before each.
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
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// The bytes of `line` and of what is queued behind it, up to [`BATCH`].
pub(crate) fn gather(line: Arc<str>, lines: &Receiver<Arc<str>>) -> Vec<u8> {
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

    #[test]
    fn a_thread_that_panics_reports_that_its_client_left() {
        let (events, inbox) = bounded(1);
        let leaving = Leaving { id: 7, events };
        let died = thread::spawn(move || {
            let _leaving = leaving;
            panic!("on purpose");
        });
        assert!(matches!(inbox.recv(), Ok(Event::Left(7))));
        assert!(died.join().is_err());
    }
}
