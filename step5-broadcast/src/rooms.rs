//! All rooms, by number and by name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use common::Line;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{hub::Id, name, room::Room};

/// Tells rooms apart, also of the same name; never used twice.
pub(crate) type RoomId = u64;

/// The room in which everyone starts. It is always there.
pub(crate) const LOBBY: RoomId = 0;

/// How many rooms there may be, the lobby counted.
const ROOMS: usize = 1000;

/// How many bytes a room publishes at once; what one read causes may exceed it.
const BATCH: usize = 256 * 1024;

/// Rooms, which of them have something to publish, and which will have to tell of joins and leaves.
#[derive(Debug)]
pub(crate) struct Rooms {
    by_id: HashMap<RoomId, Room>,
    by_name: BTreeMap<String, RoomId>,
    last: RoomId,
    history: usize,
    touched: Vec<RoomId>,
    gathering: Vec<RoomId>,
    /// Whether a room has enough to publish.
    pub(crate) full: bool,
}

impl Rooms {
    /// An empty lobby. Rooms remember the last `history` lines said.
    pub(crate) fn new(history: usize) -> Self {
        let name = "lobby";
        Self {
            by_id: HashMap::from([(LOBBY, Room::new(name, history))]),
            by_name: BTreeMap::from([(name.into(), LOBBY)]),
            last: LOBBY,
            history,
            touched: Vec::new(),
            gathering: Vec::new(),
            full: false,
        }
    }

    /// A room that is there: every member's is.
    pub(crate) fn get_mut(&mut self, id: RoomId) -> &mut Room {
        self.by_id.get_mut(&id).expect("rooms with members stay")
    }

    /// All rooms, ordered by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Room> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// The room with this name, which may be new; none if there are too many.
    pub(crate) fn open(&mut self, name: &str) -> Option<RoomId> {
        let key = name::key(name);
        if let Some(id) = self.by_name.get(&key) {
            return Some(*id);
        }
        if self.by_name.len() >= ROOMS {
            return None;
        }
        self.last += 1;
        self.by_id.insert(self.last, Room::new(name, self.history));
        self.by_name.insert(key, self.last);
        Some(self.last)
    }

    /// Says a line of `author` in a room.
    pub(crate) fn say(&mut self, id: RoomId, author: Id, line: Line<'_>) {
        let room = self.get_mut(id);
        room.say(author, line);
        self.full |= room.size() >= BATCH;
        self.touch(id);
    }

    fn touch(&mut self, id: RoomId) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// Lets somebody into a room, which will be told.
    pub(crate) fn enter(&mut self, id: RoomId, member: Id, name: &str) {
        self.get_mut(id).enter(member, name);
        self.gather(id);
    }

    /// Lets somebody out of a room, which will be told. An empty room is found no more.
    pub(crate) fn leave(&mut self, id: RoomId, member: Id, name: &str) {
        let room = self.get_mut(id);
        room.leave(member, name);
        if room.members.is_empty() && id != LOBBY {
            let key = name::key(&room.name);
            self.by_name.remove(&key);
        }
        self.gather(id);
    }

    fn gather(&mut self, id: RoomId) {
        if !self.gathering.contains(&id) {
            self.gathering.push(id);
        }
        self.touch(id);
    }

    /// When the next notice has to be told.
    pub(crate) fn notice_due(&self) -> Option<Instant> {
        let rooms = self.gathering.iter().filter_map(|id| self.by_id.get(id));
        rooms.filter_map(|room| room.notice_due).min()
    }

    /// Rooms that have to tell of joins and leaves now.
    pub(crate) fn due(&self) -> Vec<RoomId> {
        let now = Instant::now();
        let due = |id: &RoomId| self.by_id.get(id)?.notice_due;
        let rooms = self.gathering.iter().copied();
        rooms
            .filter(|id| due(id).is_some_and(|due| due <= now))
            .collect()
    }

    /// Tells of the joins and leaves of a room. Gives who joined: see [`Room::settle`].
    #[must_use]
    pub(crate) fn settle(&mut self, id: RoomId) -> Vec<Id> {
        let joined = self.get_mut(id).settle();
        self.gathering.retain(|gathering| *gathering != id);
        self.touch(id);
        joined
    }

    /// Publishes what all rooms have to say, and drops the empty ones, which nobody finds any more.
    pub(crate) fn publish(&mut self, place: Option<Arc<OwnedSemaphorePermit>>) {
        self.full = false;
        for id in self.touched.drain(..) {
            let Some(room) = self.by_id.get_mut(&id) else {
                continue;
            };
            room.publish(place.clone());
            if room.members.is_empty() && id != LOBBY {
                self.gathering.retain(|gathering| *gathering != id);
                self.by_id.remove(&id);
            }
        }
    }
}
