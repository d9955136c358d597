//! What a room exchanges with the other nodes: the lines that it publishes, and the lines of theirs
//! that it shows.

use std::mem;
use std::sync::Arc;

use common::Line;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::batch::Permit;
use crate::envelope::{Kind, RoomLine, numbered};
use crate::name::at;
use crate::room::{BATCH, Room, list};

/// How many bytes of lines of other nodes may be in flight in a room. Lines beyond that count as
/// missed: if the relay waited for one room, it would hold up the others. A control character counts
/// as one byte, and has three when it is shown.
const BUDGET: usize = 1024 * 1024;

/// The bytes of the budget that each permit adds for a `! missed N lines`.
const NOTICE: usize = "! missed 18446744073709551615 lines\n".len();

/// The lines that a room still has to publish, and a bound for those that it receives.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// What happened here and is not published yet.
    outgoing: Vec<RoomLine>,
    /// Its size, as the room shows it.
    size: usize,
    /// The number of the next line that is said here.
    pub(crate) next: u64,
    /// A permit for each byte of lines of other nodes that may still be in flight.
    budget: Arc<Semaphore>,
    /// How many lines of other nodes were lost since the last `missed` line.
    missed: u64,
}

impl Default for Exchange {
    fn default() -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET));
        Self { outgoing: Vec::new(), size: 0, next: 0, budget, missed: 0 }
    }
}

impl Exchange {
    /// Adds lines to those that are not published yet. Returns whether they fill a batch.
    pub(crate) fn push(&mut self, lines: impl IntoIterator<Item = RoomLine>) -> bool {
        for line in lines {
            self.size += line.size();
            self.outgoing.push(line);
        }
        self.size >= BATCH
    }

    /// Numbers the lines that are not published yet, and takes them, with the number of the first.
    pub(crate) fn take(&mut self) -> (u64, Vec<RoomLine>) {
        let (first, lines) = (self.next, mem::take(&mut self.outgoing));
        self.next += numbered(&lines);
        self.size = 0;
        (first, lines)
    }

    /// A permit for lines of another node. `None`: too many bytes are in flight.
    pub(crate) fn permit_lines(&self, node: &str, lines: &[RoomLine]) -> Option<Permit> {
        let size = |line: &RoomLine| line.size() + "@".len() + node.len();
        self.permit(lines.iter().map(size).sum())
    }

    fn permit(&self, bytes: usize) -> Option<Permit> {
        let bytes = (NOTICE + bytes).min(BUDGET) as u32;
        let permit = self.budget.clone().try_acquire_many_owned(bytes);
        permit.ok().map(Arc::new)
    }
}

impl Room {
    /// Adds lines of another node to the next batch, after the number of those that were lost. The
    /// batch holds `permit`. Returns whether it is full.
    pub(crate) fn append_remote(
        &mut self,
        node: &str,
        lines: &[RoomLine],
        permit: &Permit,
    ) -> bool {
        self.append_missed(permit);
        let mut full = false;
        // Joins in a row are one notice, and so are leaves.
        for run in lines.chunk_by(|a, b| a.0 == b.0 && matches!(a.0, Kind::Joined | Kind::Left)) {
            let names: Vec<_> = run.iter().map(|RoomLine(_, name, _)| at(name, node)).collect();
            let RoomLine(kind, _, text) = &run[0];
            let notice = match kind {
                Kind::Said | Kind::Did => String::new(),
                Kind::Nick => format!("{} is now {}", names[0], at(text, node)),
                Kind::Joined => format!("{} joined", list(names.iter())),
                Kind::Left => format!("{} left", list(names.iter())),
            };
            let line = match kind {
                Kind::Said => Line::Said { name: &names[0], text },
                Kind::Did => Line::Action { name: &names[0], text },
                Kind::Nick | Kind::Joined | Kind::Left => Line::Notice(&notice),
            };
            full = self.append(&[], line, permit);
        }
        full
    }

    /// Adds notices about other nodes to the next batch, unless too many bytes are in flight.
    /// Returns whether it did.
    pub(crate) fn append_notices(&mut self, notices: &[String]) -> bool {
        let bytes = notices.iter().map(String::len).sum();
        let Some(permit) = self.exchange.permit(bytes) else { return false };
        for notice in notices {
            self.append(&[], Line::Notice(notice), &permit);
        }
        true
    }

    /// Counts lines of other nodes that were lost.
    pub(crate) fn miss(&mut self, lines: u64) {
        // The number came from another node, so it can be arbitrarily large.
        self.exchange.missed = self.exchange.missed.saturating_add(lines);
    }

    /// Adds the number of lines that were lost to the next batch, unless too many bytes are in
    /// flight. Returns whether it did.
    pub(crate) fn announce_missed(&mut self) -> bool {
        if self.exchange.missed == 0 {
            return false;
        }
        let Some(permit) = self.exchange.permit(0) else { return false };
        self.append_missed(&permit);
        true
    }

    fn append_missed(&mut self, permit: &Permit) {
        let missed = mem::take(&mut self.exchange.missed);
        if missed > 0 {
            warn!(room = self.name, missed, "lines of other nodes were lost");
            self.append(&[], Line::Error(&format!("missed {missed} lines")), permit);
        }
    }
}
