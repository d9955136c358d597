//! One room: who is in it, what it remembers, and the ring on which it speaks.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use common::Line;
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{self, Sender},
    },
    time::Instant,
};

use crate::{
    batch::{Batch, NOBODY},
    hub::Id,
    mail::Entry,
};

/// How many batches a ring holds. Each takes a place, of which there are fewer, so nobody lags.
const RING: usize = 4;

/// How long joins and leaves are gathered, and how much longer for each member of the room: the
/// more there are to tell, the more a notice costs.
const GATHER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_micros(50));

/// How many names a notice tells.
const NAMES: usize = 8;

/// A room and what it is about to say.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<Id>,
    /// When joins and leaves have to be told, if there are any.
    pub(crate) notice_due: Option<Instant>,
    joined: Vec<(Id, String)>,
    left: Vec<(Id, String)>,
    /// The last lines said, and where those are that are still in `draft`.
    history: VecDeque<Vec<u8>>,
    said: VecDeque<Range<usize>>,
    keep: usize,
    draft: Batch,
    ring: Sender<Arc<Batch>>,
}

impl Room {
    /// An empty room that remembers the last `keep` lines said.
    pub(crate) fn new(name: &str, keep: usize) -> Self {
        Self {
            name: name.into(),
            members: BTreeSet::new(),
            notice_due: None,
            joined: Vec::new(),
            left: Vec::new(),
            history: VecDeque::new(),
            said: VecDeque::new(),
            keep,
            draft: Batch::new(0),
            ring: broadcast::Sender::new(RING),
        }
    }

    /// Lets somebody in, who reads nothing before [`settle`](Self::settle) has told of it.
    pub(crate) fn enter(&mut self, id: Id, name: &str) {
        self.members.insert(id);
        self.joined.push((id, name.into()));
        self.gather();
    }

    /// Lets somebody go.
    pub(crate) fn leave(&mut self, id: Id, name: &str) {
        self.members.remove(&id);
        self.left.push((id, name.into()));
        self.gather();
    }

    fn gather(&mut self) {
        let window = GATHER.0 + GATHER.1 * self.members.len() as u32;
        self.notice_due
            .get_or_insert_with(|| Instant::now() + window);
    }

    /// Whether it is still to be told that somebody left, or another of his name.
    pub(crate) fn has_just_left(&self, id: Id, name: &str) -> bool {
        self.left.iter().any(|left| left.0 == id || left.1 == name)
    }

    /// Tells the joins and leaves that were gathered. Gives who joined and is still here: they read
    /// from here on, so each is to be handed an [`entry`](Self::entry) before more is said.
    #[must_use]
    pub(crate) fn settle(&mut self) -> Vec<Id> {
        self.notice_due = None;
        let joined = std::mem::take(&mut self.joined);
        let left = std::mem::take(&mut self.left);
        if !joined.is_empty() {
            let names = list(joined.iter().map(|(_, name)| name.as_str()));
            self.say(NOBODY, Line::Notice(&format!("{names} joined")));
        }
        if !left.is_empty() {
            let names = list(left.iter().map(|(_, name)| name.as_str()));
            self.say(NOBODY, Line::Notice(&format!("{names} left")));
        }
        let here = joined.into_iter().map(|(id, _)| id);
        here.filter(|id| self.members.contains(id)).collect()
    }

    /// Says a line of `author`, or of [`NOBODY`], and remembers it if somebody said it.
    pub(crate) fn say(&mut self, author: Id, line: Line<'_>) {
        let start = self.size();
        let remembered = matches!(line, Line::Said { .. } | Line::Action { .. });
        self.draft.push(author, line);
        if remembered {
            self.said.push_back(start..self.size());
            if self.said.len() > self.keep {
                self.said.pop_front();
            }
        }
    }

    /// Moves what was said from the draft to the history.
    fn remember(&mut self) {
        for line in self.said.drain(..) {
            if self.history.len() == self.keep {
                self.history.pop_front();
            }
            self.history.push_back(self.draft.bytes()[line].to_vec());
        }
    }

    /// The number of the next line.
    pub(crate) fn next(&self) -> u64 {
        self.draft.end()
    }

    /// How to read everything that is said from now on.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            ring: Some(self.ring.subscribe()),
            from: self.next(),
        }
    }

    /// What a newcomer reads first: where it is, and what was said before.
    pub(crate) fn welcome(&mut self) -> String {
        self.remember();
        let mut text = format!("{}\n", Line::Notice(&format!("you are in {}", self.name)));
        // Whole lines, which were text when they were rendered.
        let lines = self
            .history
            .iter()
            .filter_map(|line| str::from_utf8(line).ok());
        text.extend(lines);
        text
    }

    /// How many bytes wait to be published.
    pub(crate) fn size(&self) -> usize {
        self.draft.bytes().len()
    }

    /// Hands everything that was said to everybody who is here, in one piece.
    pub(crate) fn publish(&mut self, place: Option<Arc<OwnedSemaphorePermit>>) {
        if self.size() == 0 {
            return;
        }
        self.remember();
        let next = Batch::new(self.next());
        let mut batch = std::mem::replace(&mut self.draft, next);
        batch.hold(place);
        // Fails if nobody is here, who would read it.
        let _ = self.ring.send(Arc::new(batch));
    }
}

/// At most eight names, and how many more there are.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let names: Vec<_> = names.take(NAMES).collect();
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
