//! Completions for the Tab key: commands, and the names and rooms that the client has received.

use std::collections::BTreeSet;

/// Commands, with a space behind those that take an argument.
const COMMANDS: [&str; 8] =
    ["/exit", "/help", "/join ", "/me ", "/msg ", "/nick ", "/rooms", "/who"];

/// How many names are kept, and how many rooms.
const WORDS: usize = 10_000;

/// Names and rooms from the lines received so far.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    names: BTreeSet<String>,
    rooms: BTreeSet<String>,
}

impl Completions {
    /// Learns from a line as the server sent it.
    pub(crate) fn learn(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("*", notice)) => self.learn_notice(notice),
            Some(("**", action)) => add(&mut self.names, action),
            Some((name, text)) if name.ends_with(':') || text.starts_with("(private): ") => {
                add(&mut self.names, name);
            }
            _ => {}
        }
    }

    fn learn_notice(&mut self, notice: &str) {
        if let Some(room) = notice.strip_prefix("you are in ") {
            add(&mut self.rooms, room);
        } else if let Some(rooms) = notice.strip_prefix("rooms: ") {
            add_all(&mut self.rooms, rooms);
        } else if let Some((count, members)) = notice.split_once(": ") {
            // `N in ROOM: NAMES`, but not `to NAME: TEXT`.
            if let Some((_, room)) = count.split_once(" in ") {
                add(&mut self.rooms, room);
                add_all(&mut self.names, members);
            }
        } else if let Some((old, new)) = notice.split_once(" is now ") {
            self.names.remove(old);
            add(&mut self.names, new);
        } else if let Some(names) = notice.strip_suffix(" joined") {
            add_all(&mut self.names, names);
        } else if let Some(names) = notice.strip_suffix(" left") {
            for name in names.split(", ") {
                self.names.remove(first_word(name));
            }
        }
    }

    /// Where the last word of `line` begins, and what it can become: a command, a room or a name.
    pub(crate) fn find(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |space| space + 1);
        let prefix = line[start..].to_lowercase();
        let matches = |word: &&str| word.to_lowercase().starts_with(&prefix);
        let found = if start == 0 && prefix.starts_with('/') {
            owned(COMMANDS.into_iter().filter(matches))
        } else if line.starts_with("/join ") {
            owned(self.rooms.iter().map(String::as_str).filter(matches))
        } else {
            owned(self.names.iter().map(String::as_str).filter(matches))
        };
        (start, found)
    }
}

fn owned<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(Into::into).collect()
}

fn add_all(words: &mut BTreeSet<String>, list: &str) {
    for item in list.split(", ") {
        add(words, item);
    }
}

/// Adds the first word of `text`: a name or a room, without what follows it.
fn add(words: &mut BTreeSet<String>, text: &str) {
    let word = first_word(text);
    if words.len() < WORDS && !word.is_empty() {
        words.insert(word.into());
    }
}

fn first_word(text: &str) -> &str {
    text.split([' ', ':']).next().unwrap_or_default()
}
