//! What begins with a slash.

use common::{Line, MAX_TEXT};

use crate::{
    hub::{Hub, Id, OPERATOR},
    mail::{ANSWERS, Course, MOVE},
    name,
};

const HELP: [&str; 2] = [
    "/nick NAME takes a name, /who tells who is in the room, /rooms which rooms there are",
    "/join ROOM goes there, /me TEXT acts, /msg NAME TEXT speaks to one alone, /exit leaves",
];

impl Hub {
    /// Does what a member asks.
    ///
    /// # Errors
    ///
    /// The reason why not, for the one who asked.
    pub(crate) fn command(
        &mut self,
        id: Id,
        name: &str,
        arg: &str,
        line: &str,
    ) -> Result<(), String> {
        if self.answered >= ANSWERS {
            return Err("too much at once".into());
        }
        match (name, arg) {
            ("nick", "") => Err("usage: /nick NAME".into()),
            ("nick", name) => self.nick(id, name),
            ("join", "") => Err("usage: /join ROOM".into()),
            ("join", name) => self.go(id, name),
            ("rooms", "") => {
                self.list_rooms();
                Ok(())
            }
            ("who", "") => {
                self.list_members(id);
                Ok(())
            }
            ("help", "") => {
                HELP.iter().for_each(|line| self.answer(Line::Notice(line)));
                Ok(())
            }
            ("me", "") => Err("usage: /me TEXT".into()),
            ("me", text) => {
                self.say(id, text, |name, text| Line::Action { name, text });
                Ok(())
            }
            ("msg", arg) => match arg.split_once([' ', '\t']) {
                Some((name, text)) => self.whisper(id, name, text.trim_start_matches([' ', '\t'])),
                None => Err("usage: /msg NAME TEXT".into()),
            },
            _ => Err(format!("unknown command: {line}")),
        }
    }

    fn nick(&mut self, id: Id, new: &str) -> Result<(), String> {
        if id == OPERATOR {
            return Err("the operator keeps his name".into());
        }
        name::check_person(new)?;
        let key = name::key(new);
        match self.names.get(&key) {
            Some(other) if *other != id => return Err(format!("{new} is taken")),
            _ => {}
        }
        let Some(old) = self.members.get(&id).map(|member| member.name.clone()) else {
            return Ok(());
        };
        if old == new {
            return Err(format!("you are {new} already"));
        }
        let notice = format!("{old} is now {new}");
        self.say(id, &notice, |_, notice| Line::Notice(notice));
        self.names.remove(&name::key(&old));
        self.names.insert(key, id);
        if let Some(member) = self.members.get_mut(&id) {
            member.name = new.into();
        }
        self.answer(Line::Notice(&format!("you are {new}")));
        Ok(())
    }

    fn go(&mut self, id: Id, name: &str) -> Result<(), String> {
        name::check(name)?;
        let here = self.members.get(&id).map(|member| member.room);
        let there = self.rooms.open(name).ok_or("too many rooms")?;
        if here == Some(there) {
            return Err(format!("you are in {name} already"));
        }
        self.answered += MOVE;
        self.exit(id);
        self.enter(id, there);
        Ok(())
    }

    fn list_rooms(&mut self) {
        let rooms = self.rooms.iter();
        let rooms = rooms.map(|room| format!("{} ({})", room.name, room.members.len()));
        let list = list("rooms: ", &rooms.collect::<Vec<_>>());
        self.answer(Line::Notice(&list));
    }

    fn list_members(&mut self, id: Id) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let room = self.rooms.get_mut(member.room);
        let names = room.members.iter().filter_map(|id| self.members.get(id));
        let names: Vec<_> = names.map(|member| member.name.clone()).collect();
        let list = list(&format!("{} in {}: ", names.len(), room.name), &names);
        self.answer(Line::Notice(&list));
    }

    fn whisper(&mut self, id: Id, to: &str, text: &str) -> Result<(), String> {
        let Some(other) = self.names.get(&name::key(to)).copied() else {
            return Err(format!("nobody is called {to}"));
        };
        let (Some(from), Some(to)) = (self.members.get(&id), self.members.get(&other)) else {
            return Ok(());
        };
        if !to.takes_messages() {
            return Err(format!("{} has too many messages to read", to.name));
        }
        let told = format!("to {}: {text}", to.name);
        let name = &from.name;
        let message = format!("{}\n", Line::Private { name, text });
        self.answer(Line::Notice(&told));
        self.mail(other, message, Course::Stay, false);
        Ok(())
    }
}

/// `head` and as many items as fit into one line, and how many more there are.
fn list(head: &str, items: &[String]) -> String {
    const MORE: usize = " and 18446744073709551615 more".len();
    let mut line = head.to_owned();
    for (n, item) in items.iter().enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        // Notices begin with two characters of their own.
        if line.len() + separator.len() + item.len() + MORE + 2 > MAX_TEXT {
            return format!("{line} and {} more", items.len() - n);
        }
        line += separator;
        line += item;
    }
    line
}
