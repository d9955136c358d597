//! What members say across nodes: to a room, and in private.

use common::Line;

use crate::batch::Id;
use crate::commands::too_many_unread;
use crate::envelope::{Body, RoomLine, node_subject, numbered, room_subject};
use crate::hub::{Hub, Member};
use crate::name::{self, at};
use crate::nodes::Lost;
use crate::room::RoomId;

impl Hub {
    /// Publishes what happened in a room. What is said is numbered even if the relay is lost. So the
    /// other nodes will know how much they have missed.
    pub(crate) fn publish_lines(&mut self, id: RoomId) {
        let room = self.room(id);
        let (first, lines) = room.exchange.take();
        if !lines.is_empty() {
            let (subject, room) = (room_subject(&room.name), room.name.clone());
            // If it fails, the rooms know that the relay is lost.
            let _ = self.publish(subject, Body::Lines { room, id, first, lines });
        }
    }

    /// Publishes the last lines of a room that is being removed. If more than half of the queue is in
    /// use, it only numbers them: the next roster says how many are lost, and which members left.
    pub(crate) fn publish_last_lines(&mut self, id: RoomId) {
        if self.cluster.has_space() {
            self.publish_lines(id);
        } else {
            self.room(id).exchange.take();
        }
    }

    /// Publishes what is not published yet, of all rooms.
    pub(crate) fn publish_all_lines(&mut self) {
        self.unflushed.clone().into_iter().for_each(|id| self.publish_lines(id));
    }

    /// Shows lines of another node in their room, if it is open here.
    pub(crate) fn receive_lines(
        &mut self,
        key: &str,
        room: &str,
        id: u64,
        first: u64,
        mut lines: Vec<RoomLine>,
    ) {
        let Some(node) = self.cluster.nodes.get_mut(key) else { return };
        let (name, said) = (node.name.clone(), numbered(&lines));
        let remote = node.room(room, id);
        let missed = remote.advance(first, first + said);
        let Some(local_id) = self.room_ids.get(&name::key(room)).copied() else {
            // No member is here, but `/rooms` and private messages need the changes.
            for line in &lines {
                remote.apply(line, &name);
            }
            return;
        };
        let Some(local) = self.rooms.get_mut(&local_id) else { return };
        local.miss(missed);
        let Some(permit) = local.exchange.permit_lines(&name, &lines) else {
            // Joins and leaves are not applied, either: the next roster shows them.
            return local.miss(said);
        };
        // Shows no join or leave that a roster has shown already.
        lines.retain(|line| remote.apply(line, &name));
        let full = local.append_remote(&name, &lines, &permit);
        self.unflushed.insert(local_id);
        if full {
            self.flush(local_id);
        }
    }

    /// Sends a private message to a member of another node, and returns the reply to the sender.
    ///
    /// # Errors
    ///
    /// The reason, for the sender.
    pub(crate) fn message_remote(
        &mut self,
        from: Id,
        (to, node): (&str, &str),
        text: &str,
    ) -> Result<Option<String>, String> {
        if self.cluster.lost {
            return Err(Lost.to_string());
        }
        let wanted = at(to, node);
        let known = self.cluster.nodes.get(&name::key(node)).into_iter();
        let mut members = known.flat_map(|node| node.rooms.values()).flat_map(|room| &room.members);
        let addressee = members.find(|member| member.eq_ignore_ascii_case(&wanted)).cloned();
        let addressee = addressee.ok_or(format!("nobody is called {wanted}"))?;
        if !self.cluster.has_space() {
            return Err("too many messages wait for the relay".into());
        }
        let Member { name, room, .. } = &self.members[&from];
        let (from, room) = (name.clone(), *room);
        // On the ring, what the author has said before arrives first.
        self.publish_lines(room);
        let body = Body::Private { from, to: to.into(), text: text.into() };
        self.publish(node_subject(node), body).map_err(|lost| lost.to_string())?;
        Ok(Some(format!("to {addressee}: {text}")))
    }

    /// Delivers a private message of a member of another node, or answers why not.
    pub(crate) fn receive_private(&mut self, node: &str, from: String, to: String, text: &str) {
        let addressee = self.names.get(&name::key(&to)).copied();
        let line = Line::Private { name: &at(&from, node), text };
        if addressee.is_some_and(|id| self.send_private(id, line)) {
            return;
        }
        let body = Body::Refused { from, to, full: addressee.is_some() };
        // `send`, not `publish`: if this answer is lost, the rooms need no notice.
        if self.cluster.has_space() {
            let _ = self.cluster.send(node_subject(node), body);
        }
    }

    /// Answers the author of a private message why it was not delivered.
    pub(crate) fn receive_refusal(&mut self, node: &str, from: &str, to: &str, full: bool) {
        if let Some(author) = self.names.get(&name::key(from)) {
            let to = at(to, node);
            let reason = if full { too_many_unread(&to) } else { format!("nobody is called {to}") };
            // Fails if too much is unread already.
            self.send_private(*author, Line::Error(&reason));
        }
    }
}
