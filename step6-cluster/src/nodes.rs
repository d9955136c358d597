//! What this node knows of the others: who their members are, and how many lines were lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use common::Line;
use tracing::{info, warn};

use crate::commands::too_many_unread;
use crate::envelope::{Body, Envelope, Kind, RoomLine, Roster, node_subject};
use crate::hub::Hub;
use crate::name;
use crate::room::list;

/// The maximum number of other nodes.
const NODES: usize = 256;

/// After how many silent ticks a node is gone: 6 s, three rosters.
const SILENT: u32 = 24;

/// Another node.
#[derive(Debug)]
pub(crate) struct Node {
    name: String,
    epoch: u64,
    /// The number of the last envelope.
    seq: Option<u64>,
    /// Whether all its members of this epoch are known. Until then a number says nothing about
    /// what was lost before.
    complete: bool,
    /// For how many ticks nothing has arrived.
    silent: u32,
    /// The rooms of the node, by the key of their name.
    pub(crate) rooms: BTreeMap<String, RemoteRoom>,
}

/// A room of another node.
#[derive(Debug)]
pub(crate) struct RemoteRoom {
    pub(crate) name: String,
    /// The id of the room and the number of its next line, if they are known.
    position: Option<(u64, u64)>,
    /// The node's members in the room, with their node: `ann@b`. Sorted.
    pub(crate) members: BTreeSet<String>,
}

impl Node {
    fn new(name: &str, epoch: u64) -> Self {
        let (name, rooms) = (name.to_owned(), BTreeMap::new());
        Self { name, epoch, seq: None, complete: false, silent: 0, rooms }
    }

    fn is_gone(&self) -> bool {
        self.silent >= SILENT
    }

    /// Accepts an envelope that is newer than the last one. Returns whether the node has restarted.
    ///
    /// After a broken connection, the relay may still deliver what is older. A node that is gone
    /// begins anew, whatever its numbers are.
    fn accept(&mut self, epoch: u64, seq: u64) -> Option<bool> {
        let restarted = epoch != self.epoch;
        if !self.is_gone() && (epoch < self.epoch || !restarted && Some(seq) <= self.seq) {
            return None;
        }
        if restarted {
            self.complete = false;
            self.rooms.values_mut().for_each(|room| room.position = None);
        }
        (self.epoch, self.seq, self.silent) = (epoch, Some(seq), 0);
        Some(restarted)
    }

    /// A room of the node, entered in the list if it is new.
    fn room(&mut self, room: &str, id: u64) -> &mut RemoteRoom {
        let position = self.complete.then_some((id, 0));
        self.rooms.entry(name::key(room)).or_insert_with(|| RemoteRoom {
            name: room.into(),
            position,
            members: BTreeSet::new(),
        })
    }
}

impl RemoteRoom {
    /// Moves on to the lines from `first` until `next`. Returns how many lines before `first` were
    /// lost.
    fn advance(&mut self, id: u64, first: u64, next: u64) -> u64 {
        let expected = match self.position {
            None => first,
            Some((known, expected)) if known == id => expected,
            // The room was removed and opened again.
            Some(_) => 0,
        };
        self.position = Some((id, next));
        first.saturating_sub(expected)
    }
}

impl Hub {
    /// Handles an envelope of another node.
    pub(crate) fn receive_envelope(&mut self, envelope: Envelope) {
        let Envelope { node, epoch, seq, body, .. } = envelope;
        let key = name::key(&node);
        if key == name::key(&self.cluster.node) {
            warn!(node, "another node has our name: its envelope is ignored");
            return;
        }
        match body {
            Body::Private { from, to, text } => self.receive_private(&node, &from, &to, &text),
            Body::Refused { from, to, full } => self.receive_refusal(&node, &from, &to, full),
            Body::Lines { .. } | Body::Presence { .. } if !self.accept(&key, &node, epoch, seq) => {
            }
            Body::Lines { room, id, first, lines } => {
                self.receive_lines(&key, &room, id, first, lines);
            }
            Body::Presence { full, rooms } => self.receive_presence(&key, full, rooms),
        }
    }

    /// Whether to handle an envelope of a node. A node that is new needs to know our members soon.
    fn accept(&mut self, key: &str, node: &str, epoch: u64, seq: u64) -> bool {
        let nodes = &mut self.cluster.nodes;
        if !nodes.contains_key(key) {
            if nodes.len() >= NODES {
                nodes.retain(|_, node| !node.is_gone());
            }
            if nodes.len() >= NODES {
                warn!(node, "too many nodes: its envelope is ignored");
                return false;
            }
            info!(node, epoch, "a node joined");
            self.cluster.hurry();
        }
        let nodes = &mut self.cluster.nodes;
        let known = nodes.entry(key.into()).or_insert_with(|| Node::new(node, epoch));
        let accepted = known.accept(epoch, seq);
        if accepted == Some(true) {
            info!(node, epoch, "a node restarted");
            self.cluster.hurry();
        }
        accepted.is_some()
    }

    /// Shows lines of another node in their room, if it is open here.
    fn receive_lines(&mut self, key: &str, room: &str, id: u64, first: u64, lines: Vec<RoomLine>) {
        let Some(node) = self.cluster.nodes.get_mut(key) else { return };
        let name = node.name.clone();
        let remote = node.room(room, id);
        let missed = remote.advance(id, first, first + lines.len() as u64);
        for RoomLine(kind, old, new) in &lines {
            if *kind == Kind::Nick && remote.members.remove(&at(old, &name)) {
                remote.members.insert(at(new, &name));
            }
        }
        let Some(id) = self.room_ids.get(&name::key(room)).copied() else { return };
        let room = self.room(id);
        room.missed += missed;
        let full = room.append_remote(&name, lines);
        self.unflushed.insert(id);
        if full {
            self.flush(id);
        }
    }

    /// Takes over the members of another node: of the rooms listed, or of all its rooms.
    fn receive_presence(&mut self, key: &str, full: bool, rosters: Vec<Roster>) {
        let listed: BTreeSet<_> = rosters.iter().map(|roster| name::key(&roster.room)).collect();
        rosters.into_iter().for_each(|roster| self.receive_roster(key, roster));
        let Some(node) = self.cluster.nodes.get_mut(key).filter(|_| full) else { return };
        node.complete = true;
        let removed = node.rooms.keys().filter(|room| !listed.contains(*room)).cloned();
        for room in removed.collect::<Vec<_>>() {
            self.replace_members(key, &room, BTreeSet::new());
        }
        if let Some(node) = self.cluster.nodes.get_mut(key) {
            node.rooms.retain(|room, _| listed.contains(room));
        }
    }

    fn receive_roster(&mut self, key: &str, roster: Roster) {
        let Some(node) = self.cluster.nodes.get_mut(key) else { return };
        let members = roster.members.iter().map(|member| at(member, &node.name)).collect();
        let remote = node.room(&roster.room, roster.id);
        let missed = remote.advance(roster.id, roster.next, roster.next);
        let room = name::key(&roster.room);
        if let Some(id) = self.room_ids.get(&room).copied()
            && missed > 0
        {
            self.room(id).missed += missed;
            self.room(id).tell_missed();
            self.unflushed.insert(id);
        }
        self.replace_members(key, &room, members);
    }

    /// Replaces the members of a node in a room. The room's members here see the difference.
    fn replace_members(&mut self, key: &str, room: &str, members: BTreeSet<String>) {
        let node = self.cluster.nodes.get_mut(key);
        let Some(remote) = node.and_then(|node| node.rooms.get_mut(room)) else { return };
        let before = mem::replace(&mut remote.members, members);
        let joined: Vec<_> = remote.members.difference(&before).cloned().collect();
        let left: Vec<_> = before.difference(&remote.members).cloned().collect();
        let Some(id) = self.room_ids.get(room).copied() else { return };
        for (names, happened) in [(left, "left"), (joined, "joined")] {
            if !names.is_empty() {
                let notice = format!("{} {happened}", list(names.iter()));
                self.room(id).draft.push(&[], Line::Notice(&notice));
                self.unflushed.insert(id);
            }
        }
    }

    /// Counts a tick in which the nodes were silent. The members of a node that is gone have left;
    /// the numbers of its lines are kept, because it may come back.
    pub(crate) fn expire_nodes(&mut self) {
        let mut gone = Vec::new();
        for (key, node) in &mut self.cluster.nodes {
            node.silent = node.silent.saturating_add(1);
            if node.silent == SILENT {
                info!(node = node.name, "a node is gone");
                gone.extend(node.rooms.keys().map(|room| (key.clone(), room.clone())));
            }
        }
        for (key, room) in gone {
            self.replace_members(&key, &room, BTreeSet::new());
        }
    }

    /// The members of each other node in a room.
    pub(crate) fn remote_members(&self, room: &str) -> impl Iterator<Item = &BTreeSet<String>> {
        let room = name::key(room);
        let rooms = self.cluster.nodes.values().filter_map(move |node| node.rooms.get(&room));
        rooms.map(|room| &room.members)
    }

    /// Sends a private message to a member of another node.
    pub(crate) fn message_remote(
        &mut self,
        from: &str,
        to: (&str, &str),
        text: &str,
    ) -> Result<Option<String>, String> {
        const LOST: &str = "the relay is lost";
        if self.cluster.lost {
            return Err(LOST.into());
        }
        let wanted = name::key(&at(to.0, to.1));
        let node = self.cluster.nodes.get(&name::key(to.1));
        let rooms = node.iter().flat_map(|node| node.rooms.values());
        let found = rooms.flat_map(|room| &room.members).find(|name| name::key(name) == wanted);
        let addressee = found.cloned().ok_or(format!("nobody is called {}", at(to.0, to.1)))?;
        let body = Body::Private { from: from.into(), to: to.0.into(), text: text.into() };
        if !self.publish(node_subject(to.1), body) {
            return Err(LOST.into());
        }
        Ok(Some(format!("to {addressee}: {text}")))
    }

    /// Delivers a private message of another node, or answers why not.
    fn receive_private(&mut self, node: &str, from: &str, to: &str, text: &str) {
        let addressee = self.names.get(&name::key(to)).copied();
        if addressee.is_some_and(|id| self.send_private(id, &at(from, node), text)) {
            return;
        }
        let full = addressee.is_some();
        let body = Body::Refused { from: from.into(), to: to.into(), full };
        self.publish(node_subject(node), body);
    }

    /// Tells the author of a private message that it was not delivered.
    fn receive_refusal(&mut self, node: &str, from: &str, to: &str, full: bool) {
        let Some(author) = self.names.get(&name::key(from)).copied() else { return };
        let to = at(to, node);
        let reason = if full { too_many_unread(&to) } else { format!("nobody is called {to}") };
        self.send_to(author, format!("{}\n", Line::Error(&reason)).into(), None);
    }
}

/// How a member of another node is called here. No name contains `@`.
pub(crate) fn at(name: &str, node: &str) -> String {
    format!("{name}@{node}")
}
