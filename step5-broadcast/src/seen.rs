//! Names and rooms that were read, for the Tab key.

use std::collections::BTreeSet;

/// Commands, and a blank behind those that want something.
const COMMANDS: [&str; 8] = [
    "/exit", "/help", "/join ", "/me ", "/msg ", "/nick ", "/rooms", "/who",
];

/// How many names are remembered, and how many rooms.
const SEEN: usize = 10_000;

/// Who and what was read about.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    names: BTreeSet<String>,
    rooms: BTreeSet<String>,
}

impl Seen {
    /// Reads a line as it came from the server.
    pub(crate) fn learn(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("*", notice)) => self.notice(notice),
            Some(("**", action)) => add(&mut self.names, action),
            Some(("!", _)) | None => {}
            Some((name, text)) if name.ends_with(':') || text.starts_with("(private): ") => {
                add(&mut self.names, name);
            }
            Some(_) => {}
        }
    }

    fn notice(&mut self, notice: &str) {
        if let Some(room) = notice.strip_prefix("you are in ") {
            add(&mut self.rooms, room);
        } else if let Some(rooms) = notice.strip_prefix("rooms: ") {
            rooms
                .split(", ")
                .for_each(|room| add(&mut self.rooms, room));
        } else if let Some((names, members)) = notice.split_once(": ") {
            // `/who` counts; `to NAME` does not.
            if let Some((_, room)) = names.split_once(" in ") {
                add(&mut self.rooms, room);
                members
                    .split(", ")
                    .for_each(|name| add(&mut self.names, name));
            }
        } else if let Some((old, new)) = notice.split_once(" is now ") {
            self.names.remove(old);
            add(&mut self.names, new);
        } else if let Some(names) = notice.strip_suffix(" joined") {
            names
                .split(", ")
                .for_each(|name| add(&mut self.names, name));
        } else if let Some(names) = notice.strip_suffix(" left") {
            for name in names.split(", ") {
                self.names
                    .remove(name.split(' ').next().unwrap_or_default());
            }
        }
    }

    /// Where the last word of `line` begins, and what it may become: a command, a name or a room.
    pub(crate) fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |blank| blank + 1);
        let word = line[start..].to_lowercase();
        let known = |known: &str| known.to_lowercase().starts_with(&word);
        let found = if start == 0 && word.starts_with('/') {
            COMMANDS
                .into_iter()
                .filter(|c| known(c))
                .map(Into::into)
                .collect()
        } else if line.starts_with("/join ") {
            self.rooms
                .iter()
                .filter(|room| known(room))
                .cloned()
                .collect()
        } else {
            self.names
                .iter()
                .filter(|name| known(name))
                .cloned()
                .collect()
        };
        (start, found)
    }
}

/// Adds the first word, without what may follow a name.
fn add(words: &mut BTreeSet<String>, text: &str) {
    let word = text.split([' ', ':']).next().unwrap_or_default();
    if words.len() < SEEN && !word.is_empty() {
        words.insert(word.into());
    }
}
