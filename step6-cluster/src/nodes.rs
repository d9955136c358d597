//! What a hub knows of its cluster: this node, the other nodes, and their rooms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, TryAcquireError};

use crate::envelope::{Body, Envelope, Kind, LISTED, MEMBERS, Outgoing, RoomLine, RosterRoom};
use crate::name::{self, at};

/// Ticks of silence after which a node is gone: 6 s, in which three rosters did not arrive.
pub(crate) const SILENT: u32 = 24;

/// How many bytes may wait for the relay.
const UNPUBLISHED: usize = 4 * 1024 * 1024;

/// This node, and what it knows of the others.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The name of this node.
    pub(crate) node: String,
    /// When it started, in microseconds since 1970.
    epoch: u64,
    /// The number of the next envelope.
    seq: u64,
    /// The queue to the relay.
    queue: Sender<Outgoing>,
    /// A permit for each byte that may still be queued.
    budget: Arc<Semaphore>,
    /// Whether the relay is connected.
    pub(crate) connected: bool,
    /// Whether the relay is lost: not connected, or with a full queue.
    pub(crate) lost: bool,
    /// How many ticks to wait until the next roster. 0: publish it at the next tick.
    pub(crate) ticks_to_roster: u32,
    /// Removed rooms, each with the number of rosters that will still list it.
    pub(crate) removed: VecDeque<(RosterRoom, u32)>,
    /// The other nodes, by the key of their name.
    pub(crate) nodes: BTreeMap<String, Node>,
}

impl Cluster {
    /// A node that knows no other. Its envelopes go into `queue`.
    pub(crate) fn new(node: String, queue: Sender<Outgoing>) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            node,
            epoch: u64::try_from(epoch.as_micros()).unwrap_or(u64::MAX),
            seq: 0,
            queue,
            budget: Arc::new(Semaphore::new(UNPUBLISHED)),
            connected: true,
            lost: false,
            ticks_to_roster: 0,
            removed: VecDeque::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Whether this is the name of this node.
    pub(crate) fn is_this(&self, node: &str) -> bool {
        node.eq_ignore_ascii_case(&self.node)
    }

    /// Queues an envelope. Never waits: fails if the relay is lost or the queue is full.
    pub(crate) fn send(&mut self, subject: String, body: Body) -> Result<(), Lost> {
        if self.lost {
            return Err(Lost);
        }
        let bytes = u32::try_from(body.size()).unwrap_or(u32::MAX);
        let permit = self.budget.clone().try_acquire_many_owned(bytes)?;
        let envelope = Envelope::new(&self.node, self.epoch, self.seq, body);
        self.seq += 1;
        self.queue.try_send(Outgoing { subject, envelope, permit })?;
        Ok(())
    }

    /// Whether half of the queue is free. The other half is for what the open rooms publish: one
    /// client must not fill the queue for all of them.
    pub(crate) fn has_space(&self) -> bool {
        self.queue.capacity() > self.queue.max_capacity() / 2
            && self.budget.available_permits() > UNPUBLISHED / 2
    }

    /// Whether the relay is connected and has taken everything that was queued.
    pub(crate) fn is_ready(&self) -> bool {
        self.connected && self.queue.capacity() == self.queue.max_capacity()
    }
}

/// The relay is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the relay is lost")
    }
}

impl From<TrySendError<Outgoing>> for Lost {
    fn from(_: TrySendError<Outgoing>) -> Self {
        Self
    }
}

impl From<TryAcquireError> for Lost {
    fn from(_: TryAcquireError) -> Self {
        Self
    }
}

/// Another node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    epoch: u64,
    /// The number of the last envelope with lines or a roster.
    seq: Option<u64>,
    /// Whether a roster of this epoch has arrived. Until then, the number of a line says nothing
    /// about what was lost before it.
    pub(crate) has_roster: bool,
    /// For how many ticks nothing has arrived.
    pub(crate) silent_ticks: u32,
    /// The rooms of the node. A removed room stays until a roster no longer lists it.
    pub(crate) rooms: BTreeMap<RoomKey, RemoteRoom>,
}

/// The key of a room's name, and the id that tells two rooms of one name apart.
pub(crate) type RoomKey = (String, u64);

/// A room of another node.
#[derive(Debug)]
pub(crate) struct RemoteRoom {
    pub(crate) name: String,
    /// The number of the next line, if it is known.
    next: Option<u64>,
    /// The node's members in the room, each with the node: `ann@b`.
    pub(crate) members: BTreeSet<String>,
}

impl Node {
    /// A node of which nothing has arrived.
    pub(crate) fn new(name: &str, epoch: u64) -> Self {
        let (name, rooms) = (name.to_owned(), BTreeMap::new());
        Self { name, epoch, seq: None, has_roster: false, silent_ticks: 0, rooms }
    }

    /// Whether its members have left, because nothing has arrived for too long.
    pub(crate) fn is_gone(&self) -> bool {
        self.silent_ticks >= SILENT
    }

    /// Accepts an envelope if it is newer than the last one. Returns whether the node has
    /// restarted.
    ///
    /// After a connection broke, the relay may deliver an older one from a buffer. If the node is
    /// gone, any other epoch is accepted: its clock may have been set back.
    pub(crate) fn accept(&mut self, epoch: u64, seq: u64) -> Option<bool> {
        let restarted = epoch != self.epoch;
        let is_old =
            if restarted { epoch < self.epoch && !self.is_gone() } else { Some(seq) <= self.seq };
        if is_old {
            return None;
        }
        if restarted {
            self.has_roster = false;
            self.rooms.values_mut().for_each(|room| room.next = None);
        }
        (self.epoch, self.seq, self.silent_ticks) = (epoch, Some(seq), 0);
        Some(restarted)
    }

    /// Forgets the empty rooms, if there are too many rooms. After that, a room that is not known
    /// here may be an old one, so the number of its first line shows no gap.
    pub(crate) fn forget_empty_rooms(&mut self) {
        if self.rooms.len() > LISTED {
            self.rooms.retain(|_, room| !room.members.is_empty());
            self.has_roster = false;
        }
    }

    /// Whether it has more rooms or members than a node can have. Then another program uses its
    /// name.
    pub(crate) fn exceeds_limits(&self) -> bool {
        let members: usize = self.rooms.values().map(|room| room.members.len()).sum();
        // A member that changes the room is in two rooms for a moment.
        self.rooms.len() > LISTED || members > 2 * MEMBERS
    }

    /// The room of this name and id; a new one if the node has just opened it.
    pub(crate) fn room(&mut self, room: &str, id: u64) -> &mut RemoteRoom {
        let next = self.has_roster.then_some(0);
        let (name, members) = (room.into(), BTreeSet::new());
        let key = (name::key(room), id);
        self.rooms.entry(key).or_insert_with(|| RemoteRoom { name, next, members })
    }
}

impl RemoteRoom {
    /// Applies a line to the members. Returns whether a room has to show it: it changes them, or a
    /// member said it.
    pub(crate) fn apply(&mut self, RoomLine(kind, name, text): &RoomLine, node: &str) -> bool {
        let name = at(name, node);
        match kind {
            Kind::Said | Kind::Did => true,
            // The new name may be that of a member whose leave was lost.
            Kind::Nick => {
                let is_known = self.members.remove(&name);
                if is_known {
                    self.members.insert(at(text, node));
                }
                is_known
            }
            Kind::Joined => self.members.insert(name),
            Kind::Left => self.members.remove(&name),
        }
    }

    /// Records that the lines `first..next` have arrived. Returns how many lines before `first` were
    /// lost.
    pub(crate) fn advance(&mut self, first: u64, next: u64) -> u64 {
        let expected = self.next.replace(next).unwrap_or(first);
        first.saturating_sub(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_exactly() {
        let mut node = Node::new("b", 1);
        // What was said before this node listened is not lost.
        assert_eq!(node.room("lobby", 0).advance(100, 102), 0);
        assert_eq!(node.room("lobby", 0).advance(102, 103), 0);
        assert_eq!(node.room("lobby", 0).advance(110, 111), 7);
        // A roster has the number of the next line only.
        assert_eq!(node.room("lobby", 0).advance(115, 115), 4);
    }

    #[test]
    fn a_room_that_is_opened_again_counts_from_zero() {
        let mut node = Node::new("b", 1);
        node.has_roster = true;
        assert_eq!(node.room("rust", 5).advance(0, 8), 0);
        // All rooms are known, so a new one has just been opened.
        assert_eq!(node.room("Rust", 9).advance(3, 4), 3);
        // The next roster has the number of the room that was removed.
        assert_eq!(node.room("rust", 5).advance(10, 10), 2);
        assert_eq!(node.room("rust", 9).advance(4, 4), 0);
    }

    #[test]
    fn only_newer_envelopes_are_accepted() {
        let mut node = Node::new("b", 10);
        assert_eq!(node.accept(10, 0), Some(false));
        assert_eq!([node.accept(10, 0), node.accept(9, 5)], [None, None]);
        assert_eq!(node.accept(10, 7), Some(false));
        assert_eq!(node.room("lobby", 0).advance(100, 102), 0);
        assert_eq!(node.accept(11, 0), Some(true));
        assert_eq!(node.room("lobby", 0).advance(50, 51), 0);
        node.silent_ticks = SILENT;
        assert_eq!(node.accept(11, 0), None);
        assert_eq!(node.accept(2, 0), Some(true));
        assert!(!node.is_gone());
    }
}
