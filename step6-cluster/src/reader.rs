//! The reading half of a session: socket to hub, at the pace of the room and within the rate.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use common::{LineDecoder, LineError, MAX_TEXT};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use crate::batch::{Id, Permit};
use crate::hub::Event;
use crate::token_bucket::TokenBucket;

/// How many reads of a client may be in flight: sent to the hub, and some recipient's writer is
/// not done with them yet.
pub(crate) const PERMITS: usize = 8;

/// How many bytes one read takes.
const READ: usize = 8 * 1024;

/// How many lines one permit covers: short lines grow when the hub adds a name to each.
pub(crate) const LINES: usize = 128;

/// The request with a long reply, the history of a room. The lines behind it need a new permit. So
/// a client that enters rooms and does not read costs little memory.
const ENTER: &str = "/join";

/// Reads until EOF, an unterminated line or the end of the hub. Then it reports that the client
/// left, behind everything that the client sent.
///
/// While all permits of a client are in flight, the server does not read from it. So TCP slows it
/// down to the pace of the slowest recipient that its room waits for.
///
/// # Errors
///
/// A lost connection.
pub(crate) async fn read(
    id: Id,
    stream: &TcpStream,
    events: &Sender<Event>,
    rate: u32,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(PERMITS));
    let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
    let mut bucket = TokenBucket::new(rate);
    // Bytes that wait for the rate or for a permit stay undecoded: decoded lines need more memory.
    let mut undecoded = Vec::new();
    let mut open = true;
    while open {
        if undecoded.is_empty() {
            stream.readable().await?;
        } else {
            next_token(&mut bucket, stream).await?;
        }
        let permit = acquire(&permits).await;
        if undecoded.is_empty() {
            undecoded = match read_once(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                bytes => bytes?,
            };
            open = !undecoded.is_empty();
        }
        let lines = if open {
            decode(&mut decoder, &mut undecoded, bucket.available().min(LINES))
        } else {
            decoder.finish().collect()
        };
        bucket.take(lines.len());
        open &= lines.last() != Some(&Err(LineError::Unterminated));
        if !lines.is_empty() && events.send(Event::Received(id, lines, permit)).await.is_err() {
            return Ok(());
        }
    }
    // Fails if the server has ended.
    let _ = events.send(Event::Left(id)).await;
    Ok(())
}

/// Waits for a token. Nothing is read meanwhile, so this also watches for a reset.
async fn next_token(bucket: &mut TokenBucket, stream: &TcpStream) -> io::Result<()> {
    select! {
        () = bucket.ready() => Ok(()),
        _ = stream.ready(Interest::ERROR) =>
            Err(stream.take_error()?.unwrap_or(ErrorKind::ConnectionReset.into())),
    }
}

/// Waits for a permit.
pub(crate) async fn acquire(permits: &Arc<Semaphore>) -> Permit {
    Arc::new(permits.clone().acquire_owned().await.expect("the semaphore is never closed"))
}

/// The bytes of one read; none at EOF. Not async: a buffer in a future costs every connection its
/// size.
fn read_once(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buf = [0; READ];
    let n = stream.try_read(&mut buf)?;
    Ok(buf[..n].to_vec())
}

/// Takes at most `limit` lines from the front of `bytes`.
fn decode(
    decoder: &mut LineDecoder,
    bytes: &mut Vec<u8>,
    limit: usize,
) -> Vec<Result<String, LineError>> {
    let mut lines: Vec<Result<String, _>> = Vec::new();
    let mut at = 0;
    while lines.len() < limit
        && at < bytes.len()
        && !matches!(lines.last(), Some(Ok(line)) if line.starts_with(ENTER))
    {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
        lines.extend(decoder.feed(&bytes[at..end]));
        at = end;
    }
    bytes.drain(..at);
    // Frees the capacity: a client that waits for its rate keeps what it still needs.
    bytes.shrink_to_fit();
    lines
}
