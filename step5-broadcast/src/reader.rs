//! The reading half of a session: socket to hub, at the pace of the room and within the rate.

use std::{
    io::{self, ErrorKind},
    mem,
    sync::Arc,
};

use common::{LineDecoder, LineError, MAX_TEXT};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc::Sender},
};

use crate::{
    hub::{Event, Id},
    token_bucket::{Rate, TokenBucket},
};

/// How many reads of a client may be in flight: said, but not yet written by every recipient.
pub(crate) const PERMITS: usize = 8;

/// How many bytes one read takes.
const READ: usize = 8 * 1024;

/// How many lines one permit covers. Short lines grow when they get a name.
pub(crate) const LINES: usize = 256;

/// Reads until EOF, an unterminated line or the end of the hub. Then it reports that the client
/// left: behind everything that the client said.
///
/// A client whose permits are all in flight is not read, so TCP slows it down to the pace of the
/// slowest recipient that its room waits for.
///
/// # Errors
///
/// A lost connection.
pub(crate) async fn read(
    id: Id,
    stream: &TcpStream,
    events: &Sender<Event>,
    rate: Rate,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(PERMITS));
    let mut reader = Reader::new(rate);
    while !reader.is_done() {
        if reader.undecoded.is_empty() {
            stream.readable().await?;
        } else {
            reader.bucket.ready().await;
        }
        let permit = permits.clone().acquire_owned().await;
        let permit = Arc::new(permit.expect("an open semaphore"));
        let lines = match reader.next_lines(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            lines => lines?,
        };
        if lines.is_empty() {
            continue;
        }
        let received = Event::Received(id, lines, permit);
        if events.send(received).await.is_err() {
            return Ok(());
        }
    }
    // Fails if the server has ended.
    let _ = events.send(Event::Left(id)).await;
    Ok(())
}

#[derive(Debug)]
struct Reader {
    decoder: LineDecoder,
    /// Bytes of the last read that wait for the rate or for a permit. They stay undecoded, because
    /// decoded lines need more memory.
    undecoded: Vec<u8>,
    at_end: bool,
    bucket: TokenBucket,
}

impl Reader {
    fn new(rate: Rate) -> Self {
        Self {
            decoder: LineDecoder::for_telnet(MAX_TEXT),
            undecoded: Vec::new(),
            at_end: false,
            bucket: TokenBucket::new(rate),
        }
    }

    fn is_done(&self) -> bool {
        self.at_end && self.undecoded.is_empty()
    }

    /// The lines that the client may say now; it reads once if no bytes are left over. Not async,
    /// so that the buffer does not live in every connection's future.
    fn next_lines(&mut self, stream: &TcpStream) -> io::Result<Vec<Result<String, LineError>>> {
        if !self.undecoded.is_empty() {
            let bytes = mem::take(&mut self.undecoded);
            return Ok(self.decode(&bytes));
        }
        let mut buf = [0; READ];
        match stream.try_read(&mut buf)? {
            0 => {
                self.at_end = true;
                Ok(self.decoder.finish().collect())
            }
            n => Ok(self.decode(&buf[..n])),
        }
    }

    /// Decodes as many lines as the bucket has tokens, at most [`LINES`], and keeps the rest.
    fn decode(&mut self, bytes: &[u8]) -> Vec<Result<String, LineError>> {
        let limit = self.bucket.available().min(LINES);
        let mut lines = Vec::new();
        let mut rest = bytes;
        while lines.len() < limit && !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            lines.extend(self.decoder.feed(line));
            rest = behind;
        }
        self.bucket.take(lines.len());
        if lines.last() == Some(&Err(LineError::Unterminated)) {
            self.at_end = true;
        } else {
            self.undecoded = rest.to_vec();
        }
        lines
    }
}
