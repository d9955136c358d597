//! The hub as a node of a cluster: what it publishes, and what it does while the relay is lost.

use std::collections::BTreeMap;
use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};

use common::Line;
use tokio::sync::mpsc::Sender;
use tracing::warn;

use crate::envelope::{Body, Envelope, PRESENCE, Roster, room_subject};
use crate::hub::Hub;
use crate::nodes::Node;
use crate::relay::{Incoming, Outgoing};
use crate::room::{Room, RoomId};
use crate::rooms::ROOMS;

/// After how many ticks a node publishes all its members again: 2 s.
const ROSTER: u32 = 8;

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
    /// Whether the relay says that it is reachable.
    connected: bool,
    /// Whether the members think so. A full queue is a lost relay, too.
    pub(crate) lost: bool,
    /// How many ticks ago all members were published.
    ticks: u32,
    /// Rooms that were removed since then.
    removed: Vec<Roster>,
    /// The other nodes, by the key of their name.
    pub(crate) nodes: BTreeMap<String, Node>,
}

impl Cluster {
    /// A node that knows no other.
    pub(crate) fn new(node: String, queue: Sender<Outgoing>) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            node,
            epoch: u64::try_from(epoch.as_micros()).unwrap_or(u64::MAX),
            seq: 0,
            queue,
            connected: true,
            lost: false,
            // The first tick publishes.
            ticks: ROSTER,
            removed: Vec::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Publishes all members at the next tick.
    pub(crate) fn hurry(&mut self) {
        self.ticks = ROSTER;
    }

    /// Queues an envelope, unless the relay is lost or the queue is full. Never waits.
    fn send(&mut self, subject: String, body: Body) -> bool {
        if self.lost {
            return false;
        }
        let envelope = Envelope::new(&self.node, self.epoch, self.seq, body);
        self.seq += 1;
        self.queue.try_send(Outgoing { subject, envelope }).is_ok()
    }
}

impl Hub {
    /// Handles what the relay delivers.
    pub(crate) fn handle_relay(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Envelope(envelope) => self.receive_envelope(envelope),
            Incoming::Connected(connected) => {
                self.cluster.connected = connected;
                if !connected {
                    self.lose_relay();
                }
                self.regain_relay();
            }
            Incoming::Tick => {
                self.regain_relay();
                self.expire_nodes();
                self.tell_missed();
                self.cluster.ticks += 1;
                if self.cluster.ticks >= ROSTER {
                    self.publish_all();
                }
            }
        }
    }

    /// Publishes an envelope. Returns whether it is queued: if not, the relay is lost.
    pub(crate) fn publish(&mut self, subject: String, body: Body) -> bool {
        let queued = self.cluster.send(subject, body);
        if !queued {
            self.lose_relay();
        }
        queued
    }

    /// Publishes what the members of a room have said. It is numbered even if it is not queued: the
    /// other nodes will know how much they missed.
    pub(crate) fn publish_lines(&mut self, id: RoomId) {
        let room = self.room(id);
        if room.outgoing.is_empty() {
            return;
        }
        let lines = mem::take(&mut room.outgoing);
        let (name, first) = (room.name.clone(), room.next);
        room.next += lines.len() as u64;
        self.publish(room_subject(&name), Body::Lines { room: name, id, first, lines });
    }

    /// Publishes the members of a room, behind what they have said so far.
    pub(crate) fn publish_members(&mut self, id: RoomId) {
        self.publish_lines(id);
        let rooms = vec![self.roster(id, &self.rooms[&id])];
        self.publish(PRESENCE.into(), Body::Presence { full: false, rooms });
    }

    /// Publishes that a room is removed.
    pub(crate) fn publish_removed(&mut self, id: RoomId, room: &Room) {
        let rooms = vec![self.roster(id, room)];
        if !self.publish(PRESENCE.into(), Body::Presence { full: false, rooms }) {
            // Its last lines are lost, too. The next roster has their number.
            let roster = self.roster(id, room);
            self.cluster.removed.truncate(ROOMS - 1);
            self.cluster.removed.push(roster);
        }
    }

    /// Publishes all members of all rooms.
    fn publish_all(&mut self) {
        self.cluster.ticks = 0;
        // A new name must not be there before the line that announces it.
        self.unflushed.clone().into_iter().for_each(|id| self.publish_lines(id));
        let open = self.rooms.iter().map(|(id, room)| self.roster(*id, room));
        let rooms = self.cluster.removed.iter().cloned().chain(open).collect();
        if self.publish(PRESENCE.into(), Body::Presence { full: true, rooms }) {
            self.cluster.removed.clear();
        }
    }

    /// Publishes that all members have left. The hub has ended.
    pub(crate) fn publish_end(&mut self) {
        self.publish(PRESENCE.into(), Body::Presence { full: true, rooms: Vec::new() });
    }

    fn roster(&self, id: RoomId, room: &Room) -> Roster {
        let members = room.members.iter().map(|id| self.members[id].name.clone()).collect();
        Roster { room: room.name.clone(), id, next: room.next, members }
    }

    /// Tells all rooms once that the relay is lost.
    fn lose_relay(&mut self) {
        if !self.cluster.lost {
            self.cluster.lost = true;
            warn!("the relay is lost");
            self.notify_rooms("relay lost: members of other nodes are out of reach");
        }
    }

    /// Tells all rooms that the relay is back, if it is: connected, and with an empty queue.
    fn regain_relay(&mut self) {
        let queue = &self.cluster.queue;
        if self.cluster.lost && self.cluster.connected && queue.capacity() == queue.max_capacity() {
            self.cluster.lost = false;
            warn!("the relay is back");
            self.notify_rooms("relay back");
            self.publish_all();
        }
    }

    /// Tells the rooms what they have missed because their writers were behind.
    fn tell_missed(&mut self) {
        for (id, room) in &mut self.rooms {
            if room.missed > 0 {
                room.tell_missed();
                self.unflushed.insert(*id);
            }
        }
    }

    fn notify_rooms(&mut self, notice: &str) {
        for (id, room) in &mut self.rooms {
            room.draft.push(&[], Line::Notice(notice));
            self.unflushed.insert(*id);
        }
    }
}
