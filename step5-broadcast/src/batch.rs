//! What travels to clients, and which of them receive it.

use std::fmt::Display;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::{iter, mem};

use memchr::{memchr, memchr_iter};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// A unique id of a member, never reused.
pub type Id = u64;

/// The id of the operator, the member at the server's console.
pub const OPERATOR: Id = 0;

/// The right to have the lines of one read in flight, or bytes of unread private messages.
/// Everything that these lines cause holds a clone. The permit returns to its semaphore when the
/// last clone is dropped.
pub type Permit = Arc<OwnedSemaphorePermit>;

/// Consecutive lines of a room, shared by all its members, or lines for one client alone.
///
/// A client receives batches in the order of its outbox.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    permits: Vec<Permit>,
    /// Notified when the last recipient drops the batch. `None` for a unicast batch.
    done: Option<Arc<Notify>>,
}

/// Consecutive lines that are hidden from the same members.
#[derive(Debug)]
struct Run {
    /// Sorted: the author of the lines, or the members whose join they announce.
    hidden_from: Vec<Id>,
    /// The end of the run in `bytes`.
    end: usize,
}

impl Batch {
    /// An empty batch of a room. It notifies `done` when its last recipient drops it.
    pub(crate) fn new(done: Arc<Notify>) -> Self {
        Self { bytes: Vec::new(), runs: Vec::new(), permits: Vec::new(), done: Some(done) }
    }

    /// Returns the lines as a batch, and leaves an empty batch of the same room.
    pub(crate) fn take(&mut self) -> Self {
        let (bytes, runs) = (mem::take(&mut self.bytes), mem::take(&mut self.runs));
        Self { bytes, runs, permits: mem::take(&mut self.permits), done: self.done.clone() }
    }

    /// Rendered lines for one client. The first may be the end of a line that is partly written.
    pub(crate) fn unicast(bytes: Vec<u8>, permit: Option<Permit>) -> Self {
        let run = Run { hidden_from: Vec::new(), end: bytes.len() };
        Self { bytes, runs: vec![run], permits: permit.into_iter().collect(), done: None }
    }

    /// Whether the lines are for one client alone. Then the client receives them even if it lags.
    pub(crate) fn is_unicast(&self) -> bool {
        self.done.is_none()
    }

    /// Appends a line that the members in `hidden_from`, which is sorted, do not receive.
    pub(crate) fn push(&mut self, hidden_from: &[Id], line: impl Display) {
        // A Vec accepts every byte.
        let _ = writeln!(self.bytes, "{line}");
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.hidden_from == hidden_from => run.end = end,
            _ => self.runs.push(Run { hidden_from: hidden_from.into(), end }),
        }
    }

    /// Holds the permit of the read that caused a line. Lines of one read share a clone.
    pub(crate) fn hold(&mut self, permit: &Permit) {
        if self.permits.last().is_none_or(|last| !Arc::ptr_eq(last, permit)) {
            self.permits.push(permit.clone());
        }
    }

    /// The rendered lines.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from `from` on that `id` receives, as ranges; adjacent runs are one range.
    pub(crate) fn visible(&self, id: Id, from: usize) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        let ranges = self.runs.iter().filter_map(move |run| {
            let range = start.max(from)..run.end;
            start = run.end;
            (run.hidden_from.binary_search(&id).is_err() && !range.is_empty()).then_some(range)
        });
        let mut ranges = ranges.peekable();
        iter::from_fn(move || {
            let mut range = ranges.next()?;
            while let Some(next) = ranges.next_if(|next| next.start == range.end) {
                range.end = next.end;
            }
            Some(range)
        })
    }

    /// How many lines `id` receives from `from` on, where a line begins.
    pub(crate) fn lines_behind(&self, id: Id, from: usize) -> usize {
        self.visible(id, from).map(|range| count_lines(&self.bytes[range])).sum()
    }

    /// If `at` is inside a line, the end of that line. If a line begins at `at`, `at` itself.
    pub(crate) fn line_end(&self, at: usize) -> usize {
        if at == 0 || self.bytes[at - 1] == b'\n' {
            return at;
        }
        memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |n| at + n + 1)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(done) = &self.done {
            done.notify_one();
        }
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    let mut start = 0;
    let ends = memchr_iter(b'\n', bytes);
    ends.map(|end| weight(&bytes[mem::replace(&mut start, end + 1)..end])).sum()
}

/// How many lines a line stands for. At step 6 a whole room may have missed lines: then one line,
/// `! missed 12 lines`, stands for 12.
fn weight(line: &[u8]) -> usize {
    let Some(rest) = line.strip_prefix(b"! missed ") else { return 1 };
    let number = str::from_utf8(rest).ok().and_then(|rest| rest.strip_suffix(" lines"));
    // Real numbers fit into 32 bits, and then the sum does not overflow.
    number.and_then(|number| number.parse::<u32>().ok()).map_or(1, |number| number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::new(Arc::default());
        for (author, line) in [(1, "a"), (1, "bb"), (2, "c"), (3, "d"), (1, "e")] {
            batch.push(&[author], line);
        }
        batch
    }

    fn received(id: Id, from: usize) -> Vec<String> {
        let batch = batch();
        let text = |range: Range<usize>| String::from_utf8(batch.bytes()[range].into()).unwrap();
        batch.visible(id, from).map(text).collect()
    }

    #[test]
    fn a_client_does_not_receive_its_own_lines() {
        assert_eq!(received(9, 0), ["a\nbb\nc\nd\ne\n"]);
        assert_eq!(received(1, 0), ["c\nd\n"]);
        assert_eq!(received(2, 0), ["a\nbb\n", "d\ne\n"]);
        assert_eq!(received(2, 3), ["b\n", "d\ne\n"]);
        assert_eq!(received(2, 11), [""; 0]);
    }

    #[test]
    fn lines_are_counted_from_any_line() {
        let batch = batch();
        let counts = |id| [0, 2, 5, 7, 11].map(|from| batch.lines_behind(id, from));
        assert_eq!(counts(9), [5, 4, 3, 2, 0]);
        assert_eq!(counts(1), [2, 2, 2, 1, 0]);
        assert_eq!([0, 2, 3, 5].map(|at| batch.line_end(at)), [0, 2, 5, 5]);
    }

    #[test]
    fn a_line_that_says_how_many_are_missing_counts_as_many() {
        let mut batch = Batch::new(Arc::default());
        for line in ["a", "! missed 12 lines", "! missed a bus", "b: ! missed 3 lines", "* c left"]
        {
            batch.push(&[], line);
        }
        assert_eq!(batch.lines_behind(9, 0), 1 + 12 + 1 + 1 + 1);
    }
}
