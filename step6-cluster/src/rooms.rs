//! How the hub uses the rooms: entering and leaving them, and sending what their members said.

use std::sync::Arc;
use std::time::Duration;

use common::Line;
use tokio::time::Instant;

use crate::batch::{Batch, Id, Permit};
use crate::envelope::RoomLine;
use crate::hub::Hub;
use crate::name;
use crate::room::{LOBBY, ROOMS, Room, RoomId};

/// How long joins and leaves are coalesced.
const COALESCE: Duration = Duration::from_millis(50);

/// How much longer they are coalesced for each member: the more members, the more a notice costs.
const COALESCE_EACH: Duration = Duration::from_micros(50);

/// How many bytes of history the rooms share equally. A room applies its share when it sends a
/// batch.
const HISTORY: usize = 4 * 1024 * 1024;

/// The minimum share of a room.
const MIN_HISTORY: usize = 16 * 1024;

impl Hub {
    /// The room of a member, which exists.
    pub(crate) fn room(&mut self, id: RoomId) -> &mut Room {
        self.rooms.get_mut(&id).expect("a room with members exists")
    }

    /// The room of this name, created if it does not exist; `None` if there are too many.
    pub(crate) fn open_room(&mut self, name: &str) -> Option<RoomId> {
        if let Some(id) = self.room_ids.get(&name::key(name)) {
            return Some(*id);
        }
        if self.rooms.len() >= ROOMS {
            return None;
        }
        let id = self.next_room;
        self.next_room += 1;
        self.rooms.insert(id, Room::new(name, self.batch_done.clone()));
        self.room_ids.insert(name::key(name), id);
        Some(id)
    }

    /// Moves a member into a room. The member receives `text`, the welcome and everything that
    /// follows.
    ///
    /// The room is flushed first: the lines so far are in the history, not in the member's outbox.
    pub(crate) fn enter_room(
        &mut self,
        id: Id,
        room: RoomId,
        mut text: Vec<u8>,
        permit: Option<Permit>,
    ) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.room = room;
        let name = member.name.clone();
        // A pending leave notice of the same name must come before this join.
        let same = |left: &(Id, String)| left.0 == id || name::key(&left.1) == name::key(&name);
        if self.room(room).left.iter().any(same) {
            self.announce(room);
        }
        self.flush(room);
        self.room(room).write_welcome(&mut text);
        self.send_to(id, text, permit.clone());
        self.room(room).members.insert(id);
        self.room(room).joined.push((id, name));
        self.coalesce(room, permit.as_ref());
    }

    /// Takes a member out of its room. It still receives everything that the room has said so far.
    /// An empty room is removed, except the lobby.
    pub(crate) fn leave_room(&mut self, id: Id, permit: Option<&Permit>) {
        let Some(member) = self.members.get(&id) else { return };
        let (room, name) = (member.room, member.name.clone());
        self.flush(room);
        self.room(room).members.remove(&id);
        self.room(room).left.push((id, name));
        if room == LOBBY || !self.room(room).members.is_empty() {
            self.coalesce(room, permit);
        } else {
            self.remove_room(room);
        }
    }

    fn remove_room(&mut self, id: RoomId) {
        // The other nodes learn that the last members have left.
        self.room(id).announce();
        self.publish_last_lines(id);
        if let Some(removed) = self.rooms.remove(&id) {
            self.room_ids.remove(&name::key(&removed.name));
            self.unflushed.remove(&id);
            self.remember_removed(id, &removed);
        }
    }

    /// Schedules the notice of a join or a leave, so that it is sent together with others. The
    /// draft holds the permit of the read that caused it, if a read did.
    fn coalesce(&mut self, id: RoomId, permit: Option<&Permit>) {
        let room = self.room(id);
        permit.iter().for_each(|permit| room.draft.hold(permit));
        let wait = COALESCE + COALESCE_EACH * room.members.len() as u32;
        room.notice_due.get_or_insert_with(|| Instant::now() + wait);
        self.unflushed.insert(id);
    }

    /// Announces the pending joins and leaves of a room now.
    pub(crate) fn announce(&mut self, id: RoomId) {
        if self.room(id).notice_due.is_some() {
            self.room(id).announce();
            self.unflushed.insert(id);
        }
    }

    /// When the next notice is due.
    pub(crate) fn notice_due(&self) -> Option<Instant> {
        self.unflushed.iter().filter_map(|id| self.rooms[id].notice_due).min()
    }

    /// Sends a line to the other members of a member's room.
    pub(crate) fn broadcast(
        &mut self,
        id: Id,
        text: &str,
        permit: &Permit,
        line: for<'a> fn(&'a str, &'a str) -> Line<'a>,
    ) {
        if let Some(member) = self.members.get(&id)
            && let Some(room) = self.rooms.get_mut(&member.room)
        {
            self.unflushed.insert(member.room);
            let (room_id, line) = (member.room, line(&member.name, text));
            let publish = room.exchange.push(RoomLine::said(line));
            if room.append(&[id], line, permit) {
                self.flush(room_id);
            }
            if publish {
                self.publish_lines(room_id);
            }
        }
    }

    /// Sends lines to one member, behind everything that its room has said so far. They wait until
    /// the event is handled, so that all lines that one read causes for it are one batch.
    pub(crate) fn send_to(&mut self, id: Id, lines: Vec<u8>, permit: Option<Permit>) {
        let Some(room) = self.members.get(&id).map(|member| member.room) else { return };
        self.flush(room);
        match &mut self.unicast {
            Some((last, queued, _)) if *last == id => queued.extend(lines),
            _ => {
                self.flush_unicast();
                self.unicast = Some((id, lines, permit));
            }
        }
    }

    /// Sends the lines that [`send_to`](Self::send_to) left waiting.
    pub(crate) fn flush_unicast(&mut self) {
        if let Some((id, lines, permit)) = self.unicast.take() {
            self.deliver(id, Arc::new(Batch::unicast(lines, permit)));
        }
    }

    /// Sends the draft of a room to all its members, even if a batch is in flight.
    pub(crate) fn flush(&mut self, room: RoomId) {
        let bytes = (HISTORY / self.rooms.len()).max(MIN_HISTORY);
        let lines = self.history;
        if let Some(batch) = self.room(room).take_batch(lines, bytes) {
            self.flush_unicast();
            for id in &self.rooms[&room].members {
                self.deliver(*id, batch.clone());
            }
        }
    }

    fn deliver(&self, id: Id, batch: Arc<Batch>) {
        if let Some(member) = self.members.get(&id) {
            // Fails if the session has ended; its `Left` is on the way.
            let _ = member.outbox.send(batch);
        }
    }

    /// Adds the notices whose time has come to the drafts, and sends the drafts of the rooms that
    /// are ready. So one batch of a room is in flight: until its writers are done, the draft grows.
    pub(crate) fn flush_rooms(&mut self) {
        let now = Instant::now();
        for id in self.unflushed.iter().copied().collect::<Vec<_>>() {
            if self.room(id).notice_due.is_some_and(|due| due <= now) {
                self.announce(id);
            }
            if self.room(id).in_flight.strong_count() == 0 {
                self.publish_lines(id);
                self.flush(id);
                // A room with a pending notice still has something to send later.
                if self.room(id).notice_due.is_none() {
                    self.unflushed.remove(&id);
                }
            }
        }
    }
}
