//! The hub as a node of a cluster: what the relay delivers, and what happens while it is lost.

use common::Line;
use tracing::{info, warn};

use crate::envelope::{Body, Envelope, Incoming};
use crate::hub::Hub;
use crate::name;
use crate::nodes::{Lost, Node};

/// Ticks between two rosters of a node: 2 s.
const ROSTER: u32 = 8;

/// The maximum number of other nodes.
const NODES: usize = 100;

impl Hub {
    /// Handles what the relay delivers.
    pub(crate) fn handle_relay(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Envelope(envelope) => self.receive_envelope(envelope),
            Incoming::Connected(connected) => self.set_connected(connected),
            Incoming::Tick(connected) => {
                self.tick();
                self.set_connected(connected);
            }
        }
    }

    fn set_connected(&mut self, connected: bool) {
        self.cluster.connected = connected;
        if connected { self.declare_back() } else { self.declare_lost() }
    }

    fn tick(&mut self) {
        self.expire_nodes();
        for (id, room) in &mut self.rooms {
            if room.announce_missed() {
                self.unflushed.insert(*id);
            }
        }
        self.cluster.ticks_to_roster = self.cluster.ticks_to_roster.saturating_sub(1);
        if self.cluster.ticks_to_roster == 0 {
            self.cluster.ticks_to_roster = ROSTER;
            self.publish_presence();
        }
    }

    fn receive_envelope(&mut self, envelope: Envelope) {
        let Envelope { node, epoch, seq, body, .. } = envelope;
        if self.cluster.is_this(&node) {
            warn!(node, "an envelope of another node with our name is ignored: each needs its own");
            return;
        }
        let key = name::key(&node);
        // Private messages have a subject of their own, so they are in no order with the rest.
        let ordered = matches!(body, Body::Lines { .. } | Body::Presence { .. });
        if ordered && !self.accept(&key, &node, epoch, seq) {
            return;
        }
        match body {
            Body::Private { from, to, text } => self.receive_private(&node, from, to, &text),
            Body::Refused { from, to, full } => self.receive_refusal(&node, &from, &to, full),
            Body::Lines { room, id, first, lines } => {
                self.receive_lines(&key, &room, id, first, lines);
            }
            Body::Presence { rooms } => self.receive_presence(&key, rooms),
        }
        if ordered {
            self.check_limits(&key);
        }
    }

    /// Returns whether to handle an envelope: it is newer than the last one of its node. If the node
    /// has just started, it needs our members, so the next tick publishes them.
    fn accept(&mut self, key: &str, name: &str, epoch: u64, seq: u64) -> bool {
        let nodes = &mut self.cluster.nodes;
        let known = nodes.contains_key(key);
        if !known && nodes.len() >= NODES {
            nodes.retain(|_, node| !node.is_gone());
            if nodes.len() >= NODES {
                warn!(name, "an envelope of one node too many is ignored");
                return false;
            }
        }
        let node = nodes.entry(key.into()).or_insert_with(|| Node::new(name, epoch));
        let accepted = node.accept(epoch, seq);
        if !known || accepted == Some(true) {
            info!(name, epoch, "a new node, or a new epoch");
            self.cluster.ticks_to_roster = 0;
        }
        accepted.is_some()
    }

    /// Forgets a node with more rooms or members than a node can have.
    fn check_limits(&mut self, key: &str) {
        let Some(node) = self.cluster.nodes.get_mut(key) else { return };
        node.forget_empty_rooms();
        if node.exceeds_limits() {
            warn!(node = node.name, "a node with too many rooms or members is forgotten");
            let rooms = node.rooms.keys().cloned().collect();
            self.empty_rooms(key, rooms);
            self.cluster.nodes.remove(key);
        }
    }

    /// Queues an envelope for the other nodes. If that fails, all rooms learn that the relay is
    /// lost.
    pub(crate) fn publish(&mut self, subject: String, body: Body) -> Result<(), Lost> {
        self.cluster.send(subject, body).inspect_err(|_| self.declare_lost())
    }

    fn declare_lost(&mut self) {
        if !self.cluster.lost {
            self.cluster.lost = true;
            warn!("the relay is lost");
            self.notify_rooms("relay lost: members of other nodes are out of reach");
        }
    }

    fn declare_back(&mut self) {
        if self.cluster.lost && self.cluster.is_ready() {
            self.cluster.lost = false;
            warn!("the relay is back");
            self.notify_rooms("relay back");
            // The others learn how much they have missed.
            self.cluster.ticks_to_roster = 0;
        }
    }

    fn notify_rooms(&mut self, notice: &str) {
        for (id, room) in &mut self.rooms {
            room.draft.push(&[], Line::Notice(notice));
            self.unflushed.insert(*id);
        }
    }
}
