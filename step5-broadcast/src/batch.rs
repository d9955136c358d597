//! What a room says at once: rendered once, read by everyone.

use std::{fmt::Display, io::Write, ops::Range, sync::Arc};

use tokio::sync::OwnedSemaphorePermit;

use crate::hub::Id;

/// The author of lines that are nobody's own.
pub(crate) const NOBODY: Id = Id::MAX;

/// Consecutive lines of a room. Once published, it is dropped when the last session has passed it
/// on, which gives back the place that it took.
#[derive(Debug)]
pub(crate) struct Batch {
    first: u64,
    end: u64,
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

/// Consecutive lines of one author: where they end, in bytes and in lines.
#[derive(Debug)]
struct Segment {
    author: Id,
    bytes_end: usize,
    end: u64,
}

impl Batch {
    /// No lines yet; the first will have this number.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            first,
            end: first,
            bytes: Vec::new(),
            segments: Vec::new(),
            _place: None,
        }
    }

    /// Adds a line of `author`, who will not read it.
    pub(crate) fn push(&mut self, author: Id, line: impl Display) {
        // A Vec takes every byte.
        let _ = writeln!(self.bytes, "{line}");
        self.end += 1;
        let segment = Segment {
            author,
            bytes_end: self.bytes.len(),
            end: self.end,
        };
        match self.segments.last_mut() {
            Some(last) if last.author == author => *last = segment,
            _ => self.segments.push(segment),
        }
    }

    /// Takes a place until everybody has passed it on.
    pub(crate) fn hold(&mut self, place: Option<Arc<OwnedSemaphorePermit>>) {
        self._place = place;
    }

    /// The number of the line behind the last.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The rendered lines.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the lines from `from` to `to` are that `id` reads: all but its own.
    pub(crate) fn parts(&self, id: Id, from: u64, to: u64) -> impl Iterator<Item = Range<usize>> {
        let mut at = self.offset(from);
        let end = self.offset(to);
        let segments = self.segments.iter().filter_map(move |segment| {
            let part = at..segment.bytes_end.min(end);
            at = at.max(part.end);
            (!part.is_empty()).then_some((segment.author == id, part))
        });
        let mut segments = segments.peekable();
        std::iter::from_fn(move || {
            let (_, mut part) = segments.find(|(own, _)| !own)?;
            while let Some((_, next)) = segments.next_if(|(own, _)| !own) {
                part.end = next.end;
            }
            Some(part)
        })
    }

    /// How many of the lines from `from` to `to` are `id`'s own.
    pub(crate) fn own(&self, id: Id, from: u64, to: u64) -> u64 {
        let mut first = self.first;
        let own = self.segments.iter().map(|segment| {
            let lines = segment.end.min(to).saturating_sub(first.max(from));
            first = segment.end;
            if segment.author == id { lines } else { 0 }
        });
        own.sum()
    }

    /// The number of the line that begins at the byte `at`.
    pub(crate) fn line_at(&self, at: usize) -> u64 {
        let before = self.bytes[..at].iter().filter(|byte| **byte == b'\n');
        self.first + before.count() as u64
    }

    /// Where the line with this number begins, or the end.
    fn offset(&self, line: u64) -> usize {
        if line <= self.first {
            return 0;
        }
        if line >= self.end {
            return self.bytes.len();
        }
        let mut lines = self.bytes.split_inclusive(|byte| *byte == b'\n');
        let before = lines.by_ref().take((line - self.first) as usize);
        before.map(<[u8]>::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::new(10);
        for (author, line) in [(1, "a"), (1, "b"), (2, "c"), (3, "d"), (1, "e")] {
            batch.push(author, line);
        }
        batch
    }

    fn read(id: Id, from: u64, to: u64) -> Vec<String> {
        let batch = batch();
        let parts = batch.parts(id, from, to);
        let text = |part: Range<usize>| String::from_utf8(batch.bytes()[part].to_vec()).unwrap();
        parts.map(text).collect()
    }

    #[test]
    fn parts_leave_own_lines_out() {
        assert_eq!(read(9, 10, 15), ["a\nb\nc\nd\ne\n"]);
        assert_eq!(read(1, 10, 15), ["c\nd\n"]);
        assert_eq!(read(2, 10, 15), ["a\nb\n", "d\ne\n"]);
        assert_eq!(read(2, 11, 14), ["b\n", "d\n"]);
        assert_eq!(read(1, 10, 12), [""; 0]);
        assert_eq!(read(9, 15, 15), [""; 0]);
    }

    #[test]
    fn own_lines_are_counted() {
        let batch = batch();
        assert_eq!(batch.own(1, 10, 15), 3);
        assert_eq!(batch.own(1, 11, 14), 1);
        assert_eq!(batch.own(9, 10, 15), 0);
        assert_eq!(batch.line_at(4), 12);
    }
}
