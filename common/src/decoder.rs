use std::{error, fmt, mem};

use crate::MAX_EXCESS;

/// Splits a stream of bytes into lines, in whatever chunks the bytes arrive.
///
/// A line ends at LF or CR LF, neither of which belongs to it. It is decoded when it is complete:
/// a character that was split over two reads survives, and bytes that are not UTF-8 become U+FFFD.
/// Any chunking of the same bytes gives the same lines.
///
/// Between two calls, the decoder keeps at most one unfinished line of `limit` bytes.
#[derive(Debug)]
pub struct LineDecoder {
    limit: usize,
    /// Whether to remove what telnet adds to the text.
    telnet: bool,
    /// The unfinished line; empty while a line that is too long is skipped.
    partial: Vec<u8>,
    /// The length of the unfinished line so far, kept or skipped.
    length: usize,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Keeping,
    /// The line is too long, and the error was returned: its bytes are counted, not kept.
    Skipping,
    /// The line never ended: no more lines.
    Unterminated,
}

/// Why a line was rejected. The line itself is lost; the lines around it are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// A line is longer than `limit` bytes. The decoder skips the rest of it: go on reading.
    TooLong {
        /// The maximum length of a line in bytes, without its end.
        limit: usize,
    },
    /// A line has no end within [`MAX_EXCESS`] bytes beyond its limit: close the connection. The
    /// decoder returns nothing after this.
    Unterminated,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "line too long (at most {limit} bytes)"),
            Self::Unterminated => write!(f, "unterminated line"),
        }
    }
}

impl error::Error for LineError {}

impl LineDecoder {
    /// A decoder for lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, telnet: false, partial: Vec::new(), length: 0, state: State::Keeping }
    }

    /// A decoder that also removes what telnet clients add to the text: CR NUL, and the commands
    /// that begin with IAC (255).
    pub fn for_telnet(limit: usize) -> Self {
        Self { telnet: true, ..Self::new(limit) }
    }

    /// Decodes the next bytes and returns the lines that they complete.
    ///
    /// Lines that the caller has not taken when it drops the iterator are lost; the unfinished
    /// line at the end of `bytes` is kept in any case.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Lines<'a> {
        Lines { decoder: self, rest: bytes, at_end: false }
    }

    /// Returns the unfinished line, if there is any: at EOF it is a line, too.
    pub fn finish(&mut self) -> Lines<'_> {
        Lines { decoder: self, rest: &[], at_end: true }
    }

    /// Whether the unfinished line, continued by `head`, is certainly too long. A CR at its end may
    /// still turn out to be part of the line end, so it does not count.
    fn exceeds(&self, head: &[u8]) -> bool {
        let length = self.partial.len() + head.len();
        let cr = head.last().or(self.partial.last()) == Some(&b'\r');
        length - usize::from(cr) > self.limit
    }

    /// The unfinished line, completed by `head`. No capacity is kept for the next one.
    fn complete(&mut self, head: &[u8]) -> String {
        let mut bytes = mem::take(&mut self.partial);
        bytes.extend_from_slice(head);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.telnet {
            remove_telnet(&mut bytes);
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// Removes CR NUL, and IAC with what follows it: two bytes after WILL, WONT, DO and DONT (251 to
/// 254), one byte after the other commands (240 to 250). UTF-8 never contains IAC.
fn remove_telnet(bytes: &mut Vec<u8>) {
    const IAC: u8 = 255;
    if !bytes.iter().any(|byte| matches!(*byte, 0 | IAC)) {
        return;
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = &bytes[..];
    while let [first, tail @ ..] = rest {
        rest = match rest {
            [b'\r', 0, tail @ ..]
            | [IAC, 251..=254, _, tail @ ..]
            | [IAC, 240..=250, tail @ ..] => tail,
            _ => {
                text.push(*first);
                tail
            }
        };
    }
    *bytes = text;
}

/// The lines that [`LineDecoder::feed`] or [`LineDecoder::finish`] completes, decoded on demand.
#[derive(Debug)]
#[must_use = "lines are decoded on demand"]
pub struct Lines<'a> {
    decoder: &'a mut LineDecoder,
    rest: &'a [u8],
    at_end: bool,
}

impl Iterator for Lines<'_> {
    type Item = Result<String, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoder = &mut *self.decoder;
        while !self.rest.is_empty() || self.at_end && decoder.length > 0 {
            let (head, tail, ended) = match self.rest.iter().position(|&byte| byte == b'\n') {
                Some(at) => (&self.rest[..at], &self.rest[at + 1..], true),
                None => (self.rest, [].as_slice(), self.at_end),
            };
            let length = decoder.length + head.len();
            match decoder.state {
                State::Keeping if decoder.exceeds(head) => {
                    // `rest` still begins with `head`, which the next call skips.
                    decoder.state = State::Skipping;
                    decoder.partial = Vec::new();
                    let limit = decoder.limit;
                    return Some(Err(LineError::TooLong { limit }));
                }
                State::Skipping if length > decoder.limit + MAX_EXCESS => {
                    decoder.state = State::Unterminated;
                    return Some(Err(LineError::Unterminated));
                }
                State::Unterminated => return None,
                State::Keeping | State::Skipping => {}
            }
            self.rest = tail;
            if !ended {
                decoder.length = length;
                if decoder.state == State::Keeping {
                    decoder.partial.extend_from_slice(head);
                }
                continue;
            }
            decoder.length = 0;
            match mem::replace(&mut decoder.state, State::Keeping) {
                State::Keeping => return Some(Ok(decoder.complete(head))),
                State::Skipping | State::Unterminated => {}
            }
        }
        None
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
