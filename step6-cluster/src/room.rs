//! One room: its members, its notices, what it remembers, and its next batch.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Weak};

use common::Line;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::batch::{Batch, Id, Permit};
use crate::envelope::{Kind, RoomLine};
use crate::exchange::Exchange;

/// A unique id of a room, never reused: not even by a later room of the same name.
pub(crate) type RoomId = u64;

/// The room in which every member starts. It always exists.
pub(crate) const LOBBY: RoomId = 0;

/// The maximum number of rooms.
pub(crate) const ROOMS: usize = 1000;

/// A draft is full when it has this many bytes: it is sent even if a batch is in flight. Half of
/// step 5's: the NATS library of a slow node may hold hundreds of batches.
pub(crate) const BATCH: usize = 128 * 1024;

/// How many names a notice shows.
const NAMES: usize = 8;

/// A room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<Id>,
    /// When to announce the pending joins and leaves, if there are any.
    pub(crate) notice_due: Option<Instant>,
    /// The members whose join is pending.
    pub(crate) joined: Vec<(Id, String)>,
    /// The members whose leave is pending.
    pub(crate) left: Vec<(Id, String)>,
    /// The next batch.
    pub(crate) draft: Batch,
    /// The last batch. Its count is zero once all members have dropped it.
    pub(crate) in_flight: Weak<Batch>,
    /// The lines of `draft` that the history takes when the draft is sent.
    said: VecDeque<Range<usize>>,
    /// The last lines said, as they were rendered.
    history: VecDeque<Vec<u8>>,
    /// The size of `history` in bytes.
    remembered: usize,
    /// What it exchanges with the other nodes.
    pub(crate) exchange: Exchange,
}

impl Room {
    /// An empty room. Its batches notify `done`.
    pub(crate) fn new(name: &str, done: Arc<Notify>) -> Self {
        Self { name: name.into(), draft: Batch::new(done), ..Self::default() }
    }

    /// Adds a line to the next batch. `hidden_from` holds the author, if it is a member of this node.
    /// Returns whether the batch is full.
    pub(crate) fn append(&mut self, hidden_from: &[Id], line: Line<'_>, permit: &Permit) -> bool {
        let start = self.draft.bytes().len();
        self.draft.hold(permit);
        self.draft.push(hidden_from, line);
        let end = self.draft.bytes().len();
        if matches!(line, Line::Said { .. } | Line::Action { .. }) {
            self.said.push_back(start..end);
        }
        end >= BATCH
    }

    /// Adds the pending joins and leaves to the next batch.
    pub(crate) fn announce(&mut self) {
        self.notice_due = None;
        let (joined, left) = (mem::take(&mut self.joined), mem::take(&mut self.left));
        if !joined.is_empty() {
            let names = list(joined.iter().map(|(_, name)| name));
            // No client receives its own join.
            let mut ids: Vec<_> = joined.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            self.draft.push(&ids, Line::Notice(&format!("{names} joined")));
        }
        if !left.is_empty() {
            let names = list(left.iter().map(|(_, name)| name));
            self.draft.push(&[], Line::Notice(&format!("{names} left")));
        }
        for (kind, members) in [(Kind::Joined, joined), (Kind::Left, left)] {
            let line = |(_, name)| RoomLine(kind, name, String::new());
            self.exchange.push(members.into_iter().map(line));
        }
    }

    /// Takes the next batch, if it is not empty. The history keeps the last lines said: at most
    /// `lines` lines and `bytes` bytes.
    pub(crate) fn take_batch(&mut self, lines: usize, bytes: usize) -> Option<Arc<Batch>> {
        if self.draft.bytes().is_empty() {
            return None;
        }
        let forgotten = self.said.len().saturating_sub(lines);
        for line in self.said.drain(..).skip(forgotten) {
            self.remembered += line.len();
            self.history.push_back(self.draft.bytes()[line].into());
        }
        while self.history.len() > lines || self.remembered > bytes {
            self.remembered -= self.history.pop_front().map_or(0, |line| line.len());
        }
        let batch = Arc::new(self.draft.take());
        self.in_flight = Arc::downgrade(&batch);
        Some(batch)
    }

    /// Appends what a new member receives first: the name of the room, and the history.
    pub(crate) fn write_welcome(&self, text: &mut Vec<u8>) {
        let notice = format!("you are in {}", self.name);
        text.extend(format!("{}\n", Line::Notice(&notice)).bytes());
        self.history.iter().for_each(|line| text.extend_from_slice(line));
    }
}

/// At most [`NAMES`] names, and how many more there are.
pub(crate) fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let names: Vec<_> = names.take(NAMES).map(String::as_str).collect();
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
