//! The commands. Each returns the notice that is its reply, if it has one.

use std::fmt::Display;
use std::sync::Arc;

use common::{Line, MAX_TEXT};

use crate::batch::{Id, OPERATOR, Permit};
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
        self.leave_room(id, Some(permit));
        self.enter_room(id, room, Vec::new(), Some(permit.clone()));
        Ok(None)
    }

    fn list_rooms(&self) -> String {
        let rooms = self.room_ids.values().map(|id| &self.rooms[id]);
        let rooms = rooms.map(|room| format!("{} ({})", room.name, room.members.len()));
        list("rooms: ", rooms)
    }

    fn list_members(&self, id: Id) -> String {
        let room = &self.rooms[&self.members[&id].room];
        let names = room.members.iter().map(|id| &self.members[id].name);
        list(&format!("{} in {}: ", names.len(), room.name), names)
    }

    /// Sends a private message. It holds permits of the addressee. A permit of the sender would not
    /// return while the addressee lags, and then the server would stop reading from the sender.
    fn message(&mut self, id: Id, to: &str, text: &str) -> Result<Option<String>, String> {
        let to = self.names.get(&name::key(to)).copied().ok_or(format!("nobody is called {to}"))?;
        let (name, addressee) = (&self.members[&id].name, &self.members[&to]);
        let lines = format!("{}\n", Line::Private { name, text }).into_bytes();
        let bytes = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let Ok(unread) = addressee.unread.clone().try_acquire_many_owned(bytes) else {
            return Err(format!("{} has too many unread messages", addressee.name));
        };
        let sent = format!("to {}: {text}", addressee.name);
        // A batch of its own: it must not share the permit of the replies.
        self.flush_unicast();
        self.send_to(to, lines, Some(Arc::new(unread)));
        self.flush_unicast();
        Ok(Some(sent))
    }
}

/// `head`, as many items as fit into one line, and the number of the rest. Formats only the items
/// that are shown, and one more.
fn list<T: Display>(head: &str, items: impl ExactSizeIterator<Item = T>) -> String {
    // A notice begins with two characters of its own.
    const LIMIT: usize = MAX_TEXT - " and 18446744073709551615 more".len() - 2;
    let count = items.len();
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
