//! The commands. Each returns the notice that is its reply, if it has one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use common::{Line, MAX_TEXT};

use crate::batch::{Id, OPERATOR, Permit};
use crate::envelope::{Kind, RoomLine};
use crate::hub::Hub;
use crate::name;

const HELP: &str =
    "commands: /nick NAME, /who, /rooms, /join ROOM, /me TEXT, /msg NAME TEXT, /exit";

impl Hub {
    /// Carries out a command of a member; `line` is the whole line, for the error.
    ///
    /// # Errors
    ///
    /// The reason, as the member will read it.
    pub(crate) fn command(
        &mut self,
        id: Id,
        (name, arg): (&str, &str),
        line: &str,
        permit: &Permit,
    ) -> Result<Option<String>, String> {
        let (first, rest) = arg.split_once([' ', '\t']).unwrap_or((arg, ""));
        match (name, arg) {
            ("nick", "") => Err("usage: /nick NAME".into()),
            ("join", "") => Err("usage: /join ROOM".into()),
            ("me", "") => Err("usage: /me TEXT".into()),
            ("msg", _) if rest.is_empty() => Err("usage: /msg NAME TEXT".into()),
            ("nick", new) => self.nick(id, new, permit),
            ("join", room) => self.join_room(id, room, permit),
            ("rooms", "") => Ok(Some(self.list_rooms())),
            ("who", "") => Ok(Some(self.list_members(id))),
            ("help", "") => Ok(Some(HELP.into())),
            ("me", text) => {
                self.broadcast(id, text, permit, |name, text| Line::Action { name, text });
                Ok(None)
            }
            ("msg", _) => self.message(id, first, rest.trim_start_matches([' ', '\t'])),
            _ => Err(format!("unknown command: {line}")),
        }
    }

    fn nick(&mut self, id: Id, new: &str, permit: &Permit) -> Result<Option<String>, String> {
        if id == OPERATOR {
            return Err("the operator keeps the name".into());
        }
        name::check_person(new)?;
        let key = name::key(new);
        if self.names.get(&key).is_some_and(|owner| *owner != id) {
            return Err(format!("{new} is taken"));
        }
        let old = self.members[&id].name.clone();
        if old == new {
            return Err(format!("you are {new} already"));
        }
        let notice = format!("{old} is now {new}");
        self.broadcast(id, &notice, permit, |_, notice| Line::Notice(notice));
        let renamed = RoomLine(Kind::Nick, old.clone(), new.into());
        self.room(self.members[&id].room).exchange.push([renamed]);
        self.names.remove(&name::key(&old));
        self.names.insert(key, id);
        if let Some(member) = self.members.get_mut(&id) {
            member.name = new.into();
        }
        Ok(Some(format!("you are {new}")))
    }

    fn join_room(&mut self, id: Id, name: &str, permit: &Permit) -> Result<Option<String>, String> {
        name::check(name)?;
        let room = self.open_room(name).ok_or("too many rooms")?;
        if self.members[&id].room == room {
            return Err(format!("you are in {name} already"));
        }
        // On the ring, what the member has said here arrives before its private messages from the next
        // room.
        if self.cluster.has_space() {
            self.publish_lines(self.members[&id].room);
        }
        self.leave_room(id, Some(permit));
        self.enter_room(id, room, Vec::new(), Some(permit.clone()));
        Ok(None)
    }

    /// The rooms of all nodes: how many members, and how many of them are on other nodes.
    fn list_rooms(&self) -> String {
        let local = self.rooms.values().map(|room| (&room.name, room.members.len(), 0));
        let remote = self.cluster.nodes.values().flat_map(|node| node.rooms.values());
        let remote = remote.filter(|room| !room.members.is_empty());
        let remote = remote.map(|room| (&room.name, 0, room.members.len()));
        let mut rooms = BTreeMap::new();
        for (name, here, away) in local.chain(remote) {
            let counts = rooms.entry(name::key(name)).or_insert((name, 0, 0));
            (counts.1, counts.2) = (counts.1 + here, counts.2 + away);
        }
        let format = |(name, here, away): &(&String, usize, usize)| match away {
            0 => format!("{name} ({here})"),
            away => format!("{name} ({}, {away} remote)", here + away),
        };
        list("rooms: ", rooms.len(), rooms.values().map(format))
    }

    fn list_members(&self, id: Id) -> String {
        let room = &self.rooms[&self.members[&id].room];
        let here = room.members.iter().map(|id| &self.members[id].name);
        let remote: Vec<_> = self.remote_members(&room.name).collect();
        let count = here.len() + remote.iter().map(|members| members.len()).sum::<usize>();
        let names = here.chain(remote.into_iter().flatten());
        list(&format!("{count} in {}: ", room.name), count, names)
    }

    fn message(&mut self, id: Id, to: &str, text: &str) -> Result<Option<String>, String> {
        let local = match to.split_once('@') {
            Some((local, node)) if self.cluster.is_this(node) => local,
            Some(to) => return self.message_remote(id, to, text),
            None => to,
        };
        let to =
            self.names.get(&name::key(local)).copied().ok_or(format!("nobody is called {to}"))?;
        let name = self.members[&id].name.clone();
        let addressee = self.members[&to].name.clone();
        if !self.send_private(to, Line::Private { name: &name, text }) {
            return Err(too_many_unread(&addressee));
        }
        Ok(Some(format!("to {addressee}: {text}")))
    }

    /// Sends a line to one member, unless too much is unread. It holds permits of the addressee. A
    /// permit of the sender would not return while the addressee lags, and then the server would
    /// stop reading from the sender.
    pub(crate) fn send_private(&mut self, to: Id, line: Line<'_>) -> bool {
        let lines = format!("{line}\n").into_bytes();
        let bytes = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let Ok(unread) = self.members[&to].unread.clone().try_acquire_many_owned(bytes) else {
            return false;
        };
        // A batch of its own: it must not share the permit of the replies.
        self.flush_unicast();
        self.send_to(to, lines, Some(Arc::new(unread)));
        self.flush_unicast();
        true
    }
}

/// The error for a private message that was not delivered.
pub(crate) fn too_many_unread(addressee: &str) -> String {
    format!("{addressee} has too many unread messages")
}

/// `head`, as many items as fit into one line, and the number of the rest. Formats only the items
/// that are shown, and one more.
fn list<T: Display>(head: &str, count: usize, items: impl Iterator<Item = T>) -> String {
    // A notice begins with two characters of its own.
    const LIMIT: usize = MAX_TEXT - " and 18446744073709551615 more".len() - 2;
    let mut line = head.to_owned();
    for (n, item) in items.enumerate() {
        let item = format!("{}{item}", if n == 0 { "" } else { ", " });
        if line.len() + item.len() > LIMIT {
            return format!("{line} and {} more", count - n);
        }
        line += &item;
    }
    line
}
