use std::{error, fmt, mem};

use crate::MAX_EXCESS;

/// Cuts a stream of bytes into lines, whatever the pieces in which it arrives.
///
/// A line ends at LF or CR LF, neither of which belongs to it. It is decoded once it is complete:
/// a character that was split over two reads survives, and what is not UTF-8 becomes U+FFFD. Any
/// chunking of the same bytes gives the same lines.
///
/// At most one unfinished line of `limit` bytes is kept between two calls.
#[derive(Debug)]
pub struct LineDecoder {
    limit: usize,
    /// The unfinished line, unless it is too long already.
    partial: Vec<u8>,
    /// The bytes of the unfinished line so far, kept or not.
    length: usize,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Keeping,
    /// The line is too long, which has been told: its bytes are counted, not kept.
    Skipping,
    /// The end.
    Flooded,
}

/// Why a line could not be had. The line itself is lost; the lines around it are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// A line exceeded `limit` bytes. What is left of it is skipped: go on with the next.
    TooLong {
        /// The most bytes that a line may have, its end not counted.
        limit: usize,
    },
    /// A line went on for [`MAX_EXCESS`] bytes beyond its limit: close. Nothing comes after this.
    Flood,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "line too long (at most {limit} bytes)"),
            Self::Flood => write!(f, "flood without a line end"),
        }
    }
}

impl error::Error for LineError {}

impl LineDecoder {
    /// A decoder for lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            length: 0,
            state: State::Keeping,
        }
    }

    /// Takes the next bytes and gives the lines that they complete.
    ///
    /// Take them all: bytes that the iterator has not reached when it is dropped are lost.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Lines<'a> {
        Lines {
            decoder: self,
            rest: bytes,
            at_end: false,
        }
    }

    /// Says that no more bytes will come: an unfinished last line is a line, too.
    pub fn finish(&mut self) -> Lines<'_> {
        Lines {
            decoder: self,
            rest: &[],
            at_end: true,
        }
    }

    /// Whether the unfinished line, continued by `head`, is beyond the limit for sure: a CR at its
    /// end may yet turn out to belong to a line end.
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
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The lines that [`LineDecoder::feed`] or [`LineDecoder::finish`] completes, decoded as they are
/// taken.
#[derive(Debug)]
#[must_use = "lines are decoded as they are taken"]
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
                    // `head` stays where it is, for the next call to skip.
                    decoder.state = State::Skipping;
                    decoder.partial = Vec::new();
                    let limit = decoder.limit;
                    return Some(Err(LineError::TooLong { limit }));
                }
                State::Skipping if length > decoder.limit + MAX_EXCESS => {
                    decoder.state = State::Flooded;
                    return Some(Err(LineError::Flood));
                }
                State::Flooded => return None,
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
                State::Skipping | State::Flooded => {}
            }
        }
        None
    }
}
