//! The commands.

use std::{fmt::Display, sync::Arc};

use common::{Line, MAX_TEXT};

use crate::{
    batch::Permit,
    hub::{Hub, Id, OPERATOR},
    name,
};

const HELP: [&str; 2] = [
    "/nick NAME changes your name, /who lists the members of the room, /rooms lists the rooms",
    "/join ROOM enters a room, /me TEXT acts, /msg NAME TEXT is private, /exit leaves",
];

impl Hub {
    /// Carries out a command of a member; `line` is the whole line, for the error.
    ///
    /// # Errors
    ///
    /// The reason why not, for the member.
    pub(crate) fn command(
        &mut self,
        id: Id,
        name: &str,
        arg: &str,
        line: &str,
        permit: &Permit,
    ) -> Result<(), String> {
        match (name, arg) {
            ("nick", "") => return Err("usage: /nick NAME".into()),
            ("nick", name) => return self.nick(id, name, permit),
            ("join", "") => return Err("usage: /join ROOM".into()),
            ("join", name) => return self.go(id, name, permit),
            ("rooms", "") => self.list_rooms(id, permit),
            ("who", "") => self.list_members(id, permit),
            ("help", "") => {
                for line in HELP {
                    self.send_line(id, Line::Notice(line), permit);
                }
            }
            ("me", "") => return Err("usage: /me TEXT".into()),
            ("me", text) => self.say(id, text, permit, |name, text| Line::Action { name, text }),
            ("msg", arg) => match arg.split_once([' ', '\t']) {
                Some((name, text)) => {
                    let text = text.trim_start_matches([' ', '\t']);
                    return self.message(id, name, text, permit);
                }
                None => return Err("usage: /msg NAME TEXT".into()),
            },
            _ => return Err(format!("unknown command: {line}")),
        }
        Ok(())
    }

    fn nick(&mut self, id: Id, new: &str, permit: &Permit) -> Result<(), String> {
        if id == OPERATOR {
            return Err("the operator keeps the name".into());
        }
        name::check_person(new)?;
        let key = name::key(new);
        match self.names.get(&key) {
            Some(owner) if *owner != id => return Err(format!("{new} is taken")),
            _ => {}
        }
        let Some(old) = self.members.get(&id).map(|member| member.name.clone()) else {
            return Ok(());
        };
        if old == new {
            return Err(format!("you are {new} already"));
        }
        let notice = format!("{old} is now {new}");
        self.say(id, &notice, permit, |_, notice| Line::Notice(notice));
        self.names.remove(&name::key(&old));
        self.names.insert(key, id);
        if let Some(member) = self.members.get_mut(&id) {
            member.name = new.into();
        }
        self.send_line(id, Line::Notice(&format!("you are {new}")), permit);
        Ok(())
    }

    fn go(&mut self, id: Id, name: &str, permit: &Permit) -> Result<(), String> {
        name::check(name)?;
        let old = self.members.get(&id).map(|member| member.room);
        let new = self.rooms.open(name).ok_or("too many rooms")?;
        if old == Some(new) {
            return Err(format!("you are in {name} already"));
        }
        self.exit(id, Some(permit));
        self.enter(id, new, Vec::new(), Some(permit.clone()));
        Ok(())
    }

    fn list_rooms(&mut self, id: Id, permit: &Permit) {
        let rooms = self.rooms.iter();
        let rooms = rooms.map(|room| format!("{} ({})", room.name, room.members.len()));
        let list = list("rooms: ", rooms);
        self.send_line(id, Line::Notice(&list), permit);
    }

    fn list_members(&mut self, id: Id, permit: &Permit) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let room = self.rooms.get_mut(member.room);
        let head = format!("{} in {}: ", room.members.len(), room.name);
        let names = room.members.iter().map(|id| &self.members[id].name);
        let list = list(&head, names);
        self.send_line(id, Line::Notice(&list), permit);
    }

    /// Sends a private message. It holds no permit of the sender, which a lagging addressee would
    /// keep for long, but permits of the addressee.
    fn message(&mut self, id: Id, to: &str, text: &str, permit: &Permit) -> Result<(), String> {
        let Some(to) = self.names.get(&name::key(to)).copied() else {
            return Err(format!("nobody is called {to}"));
        };
        let (Some(sender), Some(addressee)) = (self.members.get(&id), self.members.get(&to)) else {
            return Ok(());
        };
        let name = &sender.name;
        let message = format!("{}\n", Line::Private { name, text });
        let room = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let unread = addressee.messages.clone().try_acquire_many_owned(room);
        let Ok(unread) = unread else {
            return Err(format!("{} has too many unread messages", addressee.name));
        };
        let sent = format!("to {}: {text}", addressee.name);
        self.send_line(id, Line::Notice(&sent), permit);
        self.send(to, message.into(), Some(Arc::new(unread)));
        Ok(())
    }
}

/// `head` and as many items as fit into one line, and how many more there are. Formats no item
/// that is not shown.
fn list<T: Display>(head: &str, items: impl ExactSizeIterator<Item = T>) -> String {
    const MORE: usize = " and 18446744073709551615 more".len();
    // A notice begins with two characters of its own.
    const LIMIT: usize = MAX_TEXT - MORE - 2;
    let count = items.len();
    let mut line = head.to_owned();
    for (n, item) in items.enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        let item = format!("{separator}{item}");
        if line.len() + item.len() > LIMIT {
            return format!("{line} and {} more", count - n);
        }
        line += &item;
    }
    line
}
