//! All rooms, by id and by name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use common::Line;
use tokio::{sync::Notify, time::Instant};

use crate::{
    batch::{Batch, Permit},
    hub::Id,
    name,
    room::Room,
};

/// A unique id of a room, never reused: not even by a later room of the same name.
pub(crate) type RoomId = u64;

/// The room in which every member starts. It always exists.
pub(crate) const LOBBY: RoomId = 0;

/// The maximum number of rooms.
const ROOMS: usize = 1000;

/// How long joins and leaves are coalesced.
const COALESCE: Duration = Duration::from_millis(50);

/// How much longer for each member: the more members, the more a notice costs.
const COALESCE_EACH: Duration = Duration::from_micros(50);

/// How many bytes a room remembers while there is room for all histories.
const ROOM_HISTORY: usize = 256 * 1024;

/// How many bytes all rooms together remember before each is cut to [`HISTORY_SHARE`].
const ALL_HISTORY: usize = 8 * 1024 * 1024;

/// How many bytes a room may always remember.
const HISTORY_SHARE: usize = 16 * 1024;

/// All rooms.
#[derive(Debug)]
pub(crate) struct Rooms {
    by_id: HashMap<RoomId, Room>,
    /// By the key of the name, so in the order of names.
    ids: BTreeMap<String, RoomId>,
    last_id: RoomId,
    history: usize,
    /// The bytes of all histories.
    remembered: usize,
    batch_done: Arc<Notify>,
    /// The rooms that have something to say.
    speaking: Vec<RoomId>,
    /// The rooms with pending notices, by the time when these are due.
    due: BTreeSet<(Instant, RoomId)>,
}

impl Rooms {
    /// An empty lobby. Rooms remember the last `history` lines said.
    pub(crate) fn new(history: usize, batch_done: Arc<Notify>) -> Self {
        let mut rooms = Self {
            by_id: HashMap::new(),
            ids: BTreeMap::new(),
            last_id: LOBBY,
            history,
            remembered: 0,
            batch_done,
            speaking: Vec::new(),
            due: BTreeSet::new(),
        };
        rooms.add("lobby", LOBBY);
        rooms
    }

    fn add(&mut self, name: &str, id: RoomId) {
        self.by_id
            .insert(id, Room::new(name, self.batch_done.clone()));
        self.ids.insert(name::key(name), id);
    }

    /// A room that exists: a member's room does.
    pub(crate) fn get_mut(&mut self, id: RoomId) -> &mut Room {
        self.by_id.get_mut(&id).expect("a room with members exists")
    }

    /// All rooms, ordered by name.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Room> {
        self.ids.values().map(|id| &self.by_id[id])
    }

    /// The ids of all rooms.
    pub(crate) fn ids(&self) -> Vec<RoomId> {
        self.ids.values().copied().collect()
    }

    /// The room of this name, created if it does not exist; `None` if there are too many.
    pub(crate) fn open(&mut self, name: &str) -> Option<RoomId> {
        if let Some(id) = self.ids.get(&name::key(name)) {
            return Some(*id);
        }
        if self.ids.len() >= ROOMS {
            return None;
        }
        self.last_id += 1;
        self.add(name, self.last_id);
        Some(self.last_id)
    }

    /// Adds a line of `author` to the next batch of a room. Returns whether the batch is full.
    pub(crate) fn say(&mut self, id: RoomId, author: Id, line: Line<'_>, permit: &Permit) -> bool {
        let full = self.get_mut(id).say(author, line, permit);
        self.mark_speaking(id);
        full
    }

    fn mark_speaking(&mut self, id: RoomId) {
        let room = self.get_mut(id);
        if !room.speaking {
            room.speaking = true;
            self.speaking.push(id);
        }
    }

    /// Takes what a room has said since its last batch; `None` if it said nothing.
    pub(crate) fn take_batch(&mut self, id: RoomId) -> Option<Arc<Batch>> {
        let (history, scarce) = (self.history, self.remembered > ALL_HISTORY);
        let bytes = if scarce { HISTORY_SHARE } else { ROOM_HISTORY };
        let done = self.batch_done.clone();
        let room = self.get_mut(id);
        let before = room.remembered();
        let batch = room.take_batch(history, bytes, done);
        let after = room.remembered();
        self.remembered = self.remembered - before + after;
        batch
    }

    /// Adds a member, and its join to the notices.
    pub(crate) fn enter(&mut self, id: RoomId, member: Id, name: String, permit: Option<Permit>) {
        let room = self.get_mut(id);
        room.members.insert(member);
        room.notices.joined.push((member, name));
        self.coalesce(id, permit);
    }

    /// Removes a member, and adds its leave to the notices. An empty room ends, except the lobby.
    pub(crate) fn exit(&mut self, id: RoomId, member: Id, name: String, permit: Option<Permit>) {
        let room = self.get_mut(id);
        room.members.remove(&member);
        if room.members.is_empty() && id != LOBBY {
            self.remove(id);
        } else {
            room.notices.left.push(name);
            self.coalesce(id, permit);
        }
    }

    fn remove(&mut self, id: RoomId) {
        if let Some(room) = self.by_id.remove(&id) {
            self.remembered -= room.remembered();
            self.ids.remove(&name::key(&room.name));
            self.due.retain(|(_, due)| *due != id);
            self.speaking.retain(|speaking| *speaking != id);
        }
    }

    fn coalesce(&mut self, id: RoomId, permit: Option<Permit>) {
        let room = self.get_mut(id);
        room.notices.permits.extend(permit);
        if room.notices.due.is_none() {
            let due = Instant::now() + COALESCE + COALESCE_EACH * room.members.len() as u32;
            room.notices.due = Some(due);
            self.due.insert((due, id));
        }
    }

    /// When the next notice is due.
    pub(crate) fn next_notice(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A room whose notices are due now.
    pub(crate) fn due_notice(&self) -> Option<RoomId> {
        let (due, id) = self.due.first()?;
        (*due <= Instant::now()).then_some(*id)
    }

    /// Adds the pending notices of a room to its next batch.
    pub(crate) fn flush_notices(&mut self, id: RoomId) {
        if let Some(due) = self.get_mut(id).flush_notices() {
            self.due.remove(&(due, id));
            self.mark_speaking(id);
        }
    }

    /// Takes the rooms that can send a batch now. The others wait until theirs is done.
    pub(crate) fn take_ready(&mut self) -> Vec<RoomId> {
        let rooms = &mut self.by_id;
        let ready = |id: &mut RoomId| match rooms.get_mut(id) {
            Some(room) if room.is_ready() => {
                room.speaking = false;
                true
            }
            _ => false,
        };
        self.speaking.extract_if(.., ready).collect()
    }
}
