//! One room: its members, its notices, what it remembers, and its next batch.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    ops::Range,
    sync::{Arc, Weak},
};

use common::Line;
use tokio::{sync::Notify, time::Instant};

use crate::{
    batch::{Batch, Permit},
    hub::Id,
    name,
};

/// A batch is full when it has this many bytes: it is sent even if another one is in flight.
const BATCH: usize = 256 * 1024;

/// How many names a notice shows.
const NAMES: usize = 8;

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<Id>,
    pub(crate) notices: Notices,
    /// Whether the room is listed as having something to say.
    pub(crate) speaking: bool,
    history: History,
    /// Where the lines stand in `draft` that the history takes.
    said: VecDeque<Range<usize>>,
    draft: Batch,
    /// The last batch, while a member still has to write it.
    in_flight: Weak<Batch>,
}

/// Joins and leaves that are not announced yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    pub(crate) joined: Vec<(Id, String)>,
    pub(crate) left: Vec<String>,
    /// The permits of the reads that caused them.
    pub(crate) permits: Vec<Permit>,
    /// When to announce them, if there are any.
    pub(crate) due: Option<Instant>,
}

impl Notices {
    /// Whether a member of this name has left.
    pub(crate) fn has_left(&self, name: &str) -> bool {
        self.left
            .iter()
            .any(|left| name::key(left) == name::key(name))
    }
}

/// The last lines said, as they were rendered.
#[derive(Debug, Default)]
struct History {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl History {
    fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        self.lines.push_back(line.into());
    }

    /// Forgets the oldest lines until at most `lines` and `bytes` are left.
    fn trim(&mut self, lines: usize, bytes: usize) {
        while self.lines.len() > lines || self.bytes > bytes {
            let Some(line) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= line.len();
        }
    }
}

impl Room {
    /// An empty room. Its batches notify `done`.
    pub(crate) fn new(name: &str, done: Arc<Notify>) -> Self {
        Self {
            name: name.into(),
            members: BTreeSet::new(),
            notices: Notices::default(),
            speaking: false,
            history: History::default(),
            said: VecDeque::new(),
            draft: Batch::new(done),
            in_flight: Weak::new(),
        }
    }

    /// Adds a line of `author` to the next batch. Returns whether the batch is full.
    pub(crate) fn say(&mut self, author: Id, line: Line<'_>, permit: &Permit) -> bool {
        let start = self.draft.bytes().len();
        self.draft.hold(permit);
        self.draft.push(&[author], line);
        let end = self.draft.bytes().len();
        if matches!(line, Line::Said { .. } | Line::Action { .. }) {
            self.said.push_back(start..end);
        }
        end >= BATCH
    }

    /// Adds the pending notices to the next batch. Returns when they were due.
    pub(crate) fn flush_notices(&mut self) -> Option<Instant> {
        let notices = mem::take(&mut self.notices);
        for permit in &notices.permits {
            self.draft.hold(permit);
        }
        if !notices.joined.is_empty() {
            let names = list(notices.joined.iter().map(|(_, name)| name));
            // Nobody receives its own join.
            let mut ids: Vec<_> = notices.joined.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            self.draft
                .push(&ids, Line::Notice(&format!("{names} joined")));
        }
        if !notices.left.is_empty() {
            let names = list(notices.left.iter());
            self.draft.push(&[], Line::Notice(&format!("{names} left")));
        }
        notices.due
    }

    /// Whether the last batch is with all its recipients.
    pub(crate) fn is_ready(&self) -> bool {
        self.in_flight.strong_count() == 0
    }

    /// Takes the next batch, if it is not empty, and remembers at most `lines` and `bytes` of what
    /// was said.
    pub(crate) fn take_batch(
        &mut self,
        lines: usize,
        bytes: usize,
        done: Arc<Notify>,
    ) -> Option<Arc<Batch>> {
        if self.draft.bytes().is_empty() {
            return None;
        }
        let forgotten = self.said.len().saturating_sub(lines);
        for line in self.said.drain(..).skip(forgotten) {
            self.history.push(&self.draft.bytes()[line]);
        }
        self.history.trim(lines, bytes);
        let batch = Arc::new(mem::replace(&mut self.draft, Batch::new(done)));
        self.in_flight = Arc::downgrade(&batch);
        Some(batch)
    }

    /// The size of the history in bytes.
    pub(crate) fn remembered(&self) -> usize {
        self.history.bytes
    }

    /// Appends what a newcomer receives first: where it is, and the history.
    pub(crate) fn write_welcome(&self, text: &mut Vec<u8>) {
        let notice = format!("you are in {}", self.name);
        text.extend(format!("{}\n", Line::Notice(&notice)).bytes());
        text.extend(self.history.lines.iter().flatten());
    }
}

/// At most [`NAMES`] names, and how many more there are.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let names: Vec<_> = names.take(NAMES).map(String::as_str).collect();
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
