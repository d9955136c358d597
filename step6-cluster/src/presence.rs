//! Which members are where: what a node publishes about its own, and what it learns of the others.
//!
//! Changes travel with the lines of their room, and so in order. A roster is the state: whatever
//! was lost, the next roster repairs it.

use std::collections::BTreeSet;
use std::mem;

use tracing::info;

use crate::envelope::{Body, PRESENCE, RosterRoom};
use crate::hub::Hub;
use crate::name::{self, at};
use crate::nodes::{RoomKey, SILENT};
use crate::room::{ROOMS, Room, RoomId, list};

/// The number of rosters that list a removed room: for a minute. A node that misses all of them does
/// not know how many lines it has missed there.
const REMOVED: u32 = 30;

impl Hub {
    /// Publishes the roster: all rooms and their members.
    pub(crate) fn publish_presence(&mut self) {
        // A new name must not arrive before the line that announces it.
        self.publish_all_lines();
        let rooms = self.roster();
        if self.publish(PRESENCE.into(), Body::Presence { rooms }).is_ok() {
            self.cluster.removed.retain_mut(|(_, rosters)| {
                *rosters -= 1;
                *rosters > 0
            });
        }
    }

    /// Remembers a room that is removed, for the next rosters: they have the number of its lines. A
    /// room in which nothing was said has none.
    pub(crate) fn remember_removed(&mut self, id: RoomId, room: &Room) {
        if room.exchange.next == 0 {
            return;
        }
        let listed = self.roster_room(id, room);
        if self.cluster.removed.len() == ROOMS {
            self.cluster.removed.pop_front();
        }
        self.cluster.removed.push_back((listed, REMOVED));
    }

    /// Publishes the last lines, and that this node ends: a roster without members. It has the numbers
    /// of the lines, because some of them may be lost.
    pub(crate) fn publish_end(&mut self) {
        // A full queue may have space by now.
        self.cluster.lost = !self.cluster.connected;
        self.publish_all_lines();
        let mut rooms = self.roster();
        rooms.iter_mut().for_each(|room| room.members.clear());
        // If it fails, the other nodes notice the silence.
        let _ = self.publish(PRESENCE.into(), Body::Presence { rooms });
    }

    /// The rooms that were removed, and then the open ones.
    fn roster(&self) -> Vec<RosterRoom> {
        let removed = self.cluster.removed.iter().map(|(room, _)| room.clone());
        let open = self.rooms.iter().map(|(id, room)| self.roster_room(*id, room));
        removed.chain(open).collect()
    }

    fn roster_room(&self, id: RoomId, room: &Room) -> RosterRoom {
        let members = room.members.iter().map(|id| self.members[id].name.clone()).collect();
        RosterRoom { room: room.name.clone(), id, next: room.exchange.next, members }
    }

    /// Takes over the rooms of another node.
    pub(crate) fn receive_presence(&mut self, key: &str, rooms: Vec<RosterRoom>) {
        let listed: BTreeSet<_> = rooms.iter().map(RosterRoom::key).collect();
        // The removed rooms come first: if a room was closed and opened again, its members leave the
        // old one before they join the new one.
        if let Some(node) = self.cluster.nodes.get(key) {
            let removed = node.rooms.keys().filter(|room| !listed.contains(*room)).cloned();
            self.empty_rooms(key, removed.collect());
        }
        rooms.into_iter().for_each(|room| self.receive_room(key, room));
        if let Some(node) = self.cluster.nodes.get_mut(key) {
            node.rooms.retain(|key, room| listed.contains(key) || !room.members.is_empty());
            node.has_roster = true;
        }
    }

    fn receive_room(&mut self, key: &str, listed: RosterRoom) {
        let room_key = listed.key();
        let RosterRoom { room, id, next, members } = listed;
        let Some(node) = self.cluster.nodes.get_mut(key) else { return };
        let members = members.iter().map(|member| at(member, &node.name)).collect();
        let missed = node.room(&room, id).advance(next, next);
        if let Some(id) = self.room_ids.get(&room_key.0).copied() {
            self.room(id).miss(missed);
            if self.room(id).announce_missed() {
                self.unflushed.insert(id);
            }
        }
        self.replace_members(key, &room_key, members);
    }

    /// All members of another node leave these rooms.
    pub(crate) fn empty_rooms(&mut self, key: &str, rooms: Vec<RoomKey>) {
        rooms.iter().for_each(|room| self.replace_members(key, room, BTreeSet::new()));
    }

    /// Replaces the members of a node in a room. The members here see the difference. If their room
    /// takes no more at the moment, nothing changes: the next roster or tick tries again.
    fn replace_members(&mut self, key: &str, room: &RoomKey, members: BTreeSet<String>) {
        let node = self.cluster.nodes.get_mut(key);
        let Some(remote) = node.and_then(|node| node.rooms.get_mut(room)) else { return };
        let before = mem::replace(&mut remote.members, members);
        let left: Vec<_> = before.difference(&remote.members).collect();
        let joined: Vec<_> = remote.members.difference(&before).collect();
        let mut notices = Vec::new();
        for (names, what) in [(left, "left"), (joined, "joined")] {
            if !names.is_empty() {
                notices.push(format!("{} {what}", list(names.into_iter())));
            }
        }
        let Some(id) = self.room_ids.get(&room.0) else { return };
        let Some(room) = self.rooms.get_mut(id) else { return };
        if notices.is_empty() {
            return;
        }
        if room.append_notices(&notices) {
            self.unflushed.insert(*id);
        } else {
            remote.members = before;
        }
    }

    /// Counts a tick in which nothing has arrived from the other nodes. The members of a node that
    /// is gone have left. The numbers of its lines are kept: it may come back.
    pub(crate) fn expire_nodes(&mut self) {
        let mut gone = Vec::new();
        for (key, node) in &mut self.cluster.nodes {
            node.silent_ticks = node.silent_ticks.saturating_add(1);
            if node.silent_ticks == SILENT {
                info!(node = node.name, "a node is gone");
            }
            if node.is_gone() {
                let rooms = node.rooms.iter().filter(|(_, room)| !room.members.is_empty());
                gone.push((key.clone(), rooms.map(|(key, _)| key.clone()).collect()));
            }
        }
        gone.into_iter().for_each(|(key, rooms)| self.empty_rooms(&key, rooms));
    }

    /// The members of the other nodes in a room, node by node.
    pub(crate) fn remote_members(&self, room: &str) -> impl Iterator<Item = &BTreeSet<String>> {
        let key = name::key(room);
        let range = (key.clone(), 0)..=(key, u64::MAX);
        let rooms =
            self.cluster.nodes.values().flat_map(move |node| node.rooms.range(range.clone()));
        rooms.map(|(_, room)| &room.members)
    }
}
