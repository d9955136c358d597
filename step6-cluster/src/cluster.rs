//! The hub as a node of a cluster: what the relay delivers, and what happens while it is lost.

use common::Line;
use tracing::{info, warn};

use crate::envelope::{Body, Envelope, Incoming};
use crate::hub::Hub;
use crate::name;
use crate::nodes::{Lost, Node};

/// After how many ticks a node publishes all its members again: 2 s.
const ROSTER: u32 = 8;

/// The maximum number of other nodes.
const NODES: usize = 100;

impl Hub {
    /// Handles what the relay delivers.
    pub(crate) fn handle_relay(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Envelope(envelope) => self.receive_envelope(envelope),
            Incoming::Connected(connected) => {
                self.cluster.connected = connected;
                if connected { self.restore_relay() } else { self.lose_relay() }
            }
            Incoming::Tick => self.tick(),
        }
    }

    fn tick(&mut self) {
        self.restore_relay();
        self.expire_nodes();
        for (id, room) in &mut self.rooms {
            if room.announce_missed() {
                self.unflushed.insert(*id);
            }
        }
        let ticks = self.cluster.published.map_or(ROSTER, |ticks| ticks + 1);
        self.cluster.published = Some(ticks);
        if ticks >= ROSTER {
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

    /// Whether to handle an envelope of a node. A node that has just started needs to know our
    /// members.
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
            self.cluster.published = None;
        }
        accepted.is_some()
    }

    /// Queues an envelope for the other nodes. If that fails, all rooms learn that the relay is
    /// lost.
    pub(crate) fn publish(&mut self, subject: String, body: Body) -> Result<(), Lost> {
        self.cluster.send(subject, body).inspect_err(|_| self.lose_relay())
    }

    fn lose_relay(&mut self) {
        if !self.cluster.lost {
            self.cluster.lost = true;
            warn!("the relay is lost");
            self.notify_rooms("relay lost: members of other nodes are out of reach");
        }
    }

    fn restore_relay(&mut self) {
        if self.cluster.lost && self.cluster.is_ready() {
            self.cluster.lost = false;
            warn!("the relay is back");
            self.notify_rooms("relay back");
            // The others learn how much they have missed.
            self.cluster.published = None;
        }
    }

    fn notify_rooms(&mut self, notice: &str) {
        for (id, room) in &mut self.rooms {
            room.draft.push(&[], Line::Notice(notice));
            self.unflushed.insert(*id);
        }
    }
}
