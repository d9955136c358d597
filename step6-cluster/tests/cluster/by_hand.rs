//! A node that a test plays by hand.

use serde_json::{Value, json};
use testkit::{Bus, Cluster, Peer};

/// The subject of the presence.
pub(crate) const PRESENCE: &str = "chat.v1.room.@presence";

/// A node that publishes what the test says.
pub(crate) struct Node {
    pub(crate) bus: Bus,
    pub(crate) name: String,
    pub(crate) epoch: u64,
    /// The number of the next envelope.
    pub(crate) seq: u64,
}

impl Node {
    /// A node that has published nothing yet.
    pub(crate) fn new(cluster: &mut Cluster<'_>, name: &str) -> Self {
        let bus = Bus::connect(cluster.relay().addr());
        Self { bus, name: name.into(), epoch: 1000, seq: 0 }
    }

    /// The node z with these members, in the order of their names. `peer` has received their join.
    pub(crate) fn joined(cluster: &mut Cluster<'_>, peer: &mut Peer, members: &[&str]) -> Self {
        let mut node = Self::new(cluster, "z");
        node.present(0, members);
        let names: Vec<_> = members.iter().map(|member| format!("{member}@z")).collect();
        peer.lines.expect(&format!("* {} joined", names.join(", ")));
        node
    }

    /// The next envelope, not yet published.
    pub(crate) fn envelope(&mut self, body: &Value) -> Value {
        self.seq += 1;
        let Self { name, epoch, seq, .. } = self;
        json!({"version": 1, "node": name, "epoch": epoch, "seq": *seq - 1, "body": body})
    }

    /// Publishes a body.
    pub(crate) fn publish(&mut self, subject: &str, body: &Value) {
        let envelope = self.envelope(body).to_string();
        self.bus.publish(subject, envelope);
    }

    /// Publishes lines in the lobby, whose id is 0.
    pub(crate) fn say(&mut self, first: u64, lines: &[[&str; 3]]) {
        self.publish("chat.v1.room.lobby", &said("lobby", 0, first, lines));
    }

    /// Publishes all members: those in the lobby, in which `next` lines were said.
    pub(crate) fn present(&mut self, next: u64, members: &[&str]) {
        self.publish(PRESENCE, &presence("lobby", 0, next, members));
    }
}

/// Lines of one room; `first` is the number of the first.
pub(crate) fn said(room: &str, id: u64, first: u64, lines: &[[&str; 3]]) -> Value {
    json!({"lines": {"room": room, "id": id, "first": first, "lines": lines}})
}

/// The members of one room, which are all members.
pub(crate) fn presence(room: &str, id: u64, next: u64, members: &[&str]) -> Value {
    let room = json!({"room": room, "id": id, "next": next, "members": members});
    json!({"presence": {"rooms": [room]}})
}
