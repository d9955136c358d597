//! A draft and what the keys do with it, and what there is to show.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{LineError, MAX_TEXT, sanitize};
use rustyline::{Cmd, Movement};
use tokio::sync::mpsc::{Sender, WeakSender};

use crate::seen::Seen;

/// What stands before the draft.
pub(crate) const PROMPT: &str = "> ";

/// How many lines the Up key recalls.
const SAID: usize = 1000;

/// How many bytes of own lines may wait to be shown. What is beyond is sent, but not shown.
const ECHO: usize = 1024 * 1024;

/// What the keys act on.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Not a sender, since the last of them is dropped to say that all has been shown.
    screen: WeakSender<Arc<str>>,
    colours: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The only sender of what is typed, until we leave.
    pub(crate) typing: Option<Sender<Result<String, LineError>>>,
    /// What is in the editor.
    pub(crate) draft: String,
    /// What the Up key recalls, and which of it is in the editor; behind the last, the own draft.
    said: Vec<String>,
    recalled: usize,
    kept: String,
    /// What the Up key has chosen, on its way into the editor.
    pub(crate) recalling: Option<String>,
    /// Own lines that are to be shown.
    echo: String,
    seen: Seen,
    /// Told when the editor rests, and whether it does: then it touches the terminal no more.
    pub(crate) told: Option<Sender<io::Result<()>>>,
    pub(crate) parked: bool,
}

impl Desk {
    /// Nothing typed yet, and nothing said.
    pub(crate) fn new(
        typing: Sender<Result<String, LineError>>,
        screen: WeakSender<Arc<str>>,
        colours: bool,
    ) -> Self {
        let typing = Some(typing);
        Self {
            screen,
            colours,
            state: Mutex::new(State {
                typing,
                ..State::default()
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is ever half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the draft, which has several lines if it was pasted.
    pub(crate) fn enter(&self, draft: &str) -> Option<Cmd> {
        if draft.lines().any(|line| line.len() > MAX_TEXT) {
            let error = LineError::TooLong { limit: MAX_TEXT };
            self.echo(&self.paint(&format!("! {error}")));
            return Some(Cmd::Noop);
        }
        if !draft.trim().is_empty() {
            self.state().keep(draft);
        }
        for line in draft.lines().filter(|line| !line.trim().is_empty()) {
            self.echo(&format!("{PROMPT}{}", sanitize(line)));
            self.send(line);
        }
        Some(CLEAR)
    }

    /// Waits while the server does not listen. Fails if the chat has ended.
    fn send(&self, line: &str) {
        let typing = self.state().typing.clone();
        if let Some(typing) = typing {
            // Then there is nobody to tell.
            let _ = typing.blocking_send(Ok(line.into()));
        }
    }

    pub(crate) fn leave(&self) -> Option<Cmd> {
        self.send("/exit");
        self.state().typing = None;
        Some(Cmd::Noop)
    }

    /// Ctrl-C.
    pub(crate) fn clear(&self, draft: &str) -> Option<Cmd> {
        if draft.is_empty() {
            return self.leave();
        }
        let mut state = self.state();
        state.recalled = state.said.len();
        Some(CLEAR)
    }

    /// Ctrl-D, which deletes a letter if there is any.
    pub(crate) fn delete(&self, draft: &str) -> Option<Cmd> {
        match draft.is_empty() {
            true => self.leave(),
            false => None,
        }
    }

    /// Up.
    pub(crate) fn older(&self, draft: &str) -> Option<Cmd> {
        let mut state = self.state();
        if state.recalled == state.said.len() {
            state.kept = draft.into();
        }
        match state.recalled {
            0 => Some(Cmd::Noop),
            n => state.recall(n - 1),
        }
    }

    /// Down.
    pub(crate) fn newer(&self, _draft: &str) -> Option<Cmd> {
        let mut state = self.state();
        match state.recalled {
            n if n == state.said.len() => Some(Cmd::Noop),
            n => state.recall(n + 1),
        }
    }

    /// Where the word at the end of `draft` begins, and what it becomes, if it is known. If there is
    /// more than one way to go on, they are shown.
    pub(crate) fn complete(&self, draft: &str) -> (usize, Vec<String>) {
        let (start, mut found) = self.state().seen.complete(draft);
        if found.len() > 1 {
            let common = common(&found);
            if common <= draft.len() - start {
                let ways: Vec<_> = found.iter().map(|way| way.trim_end()).collect();
                self.echo(&self.paint(&format!("* {}", ways.join(", "))));
                return (start, vec![draft[start..].into()]);
            }
            found.truncate(1);
            found[0].truncate(common);
        }
        (start, found)
    }

    /// Has a line shown behind what was shown so far.
    pub(crate) fn echo(&self, line: &str) {
        let mut state = self.state();
        if state.echo.len() < ECHO {
            state.echo.push_str(line);
            state.echo.push('\n');
        }
        if let Some(screen) = self.screen.upgrade() {
            // Wakes the printer. If there is no room, it is awake.
            let _ = screen.try_send("".into());
        }
    }

    /// What to print for these lines, and for the own ones since the last time.
    pub(crate) fn show(&self, lines: &str) -> String {
        let mut state = self.state();
        let mut text = mem::take(&mut state.echo);
        for line in lines.lines() {
            state.seen.learn(line);
            text.push_str(&self.paint(line));
            text.push('\n');
        }
        text
    }

    /// Notices in cyan, errors in red, each name in a colour of its own.
    fn paint(&self, line: &str) -> String {
        let (colour, length) = match line.split_once([' ', ':']) {
            _ if !self.colours => return line.into(),
            Some(("*", _)) => (36, line.len()),
            Some(("!", _)) => (31, line.len()),
            Some(("**", _)) => (35, line.len()),
            Some((name, _)) => {
                let mut hasher = DefaultHasher::new();
                name.hash(&mut hasher);
                (92 + hasher.finish() % 5, name.len())
            }
            None => return line.into(),
        };
        let (painted, rest) = line.split_at(length);
        let mut text = String::new();
        // A String takes everything.
        let _ = write!(text, "\x1b[{colour}m{painted}\x1b[0m{rest}");
        text
    }
}

impl State {
    /// Remembers a draft that was sent.
    fn keep(&mut self, draft: &str) {
        if self.said.last().is_none_or(|last| last != draft) {
            self.said.push(draft.into());
        }
        if self.said.len() > SAID {
            self.said.remove(0);
        }
        self.recalled = self.said.len();
    }

    /// Says that the editor touches the terminal no more.
    pub(crate) fn rest(&mut self) {
        self.parked = true;
        if let Some(told) = self.told.take() {
            // Fails if the chat has ended.
            let _ = told.blocking_send(Ok(()));
        }
    }

    fn recall(&mut self, n: usize) -> Option<Cmd> {
        self.recalled = n;
        self.recalling = Some(self.said.get(n).unwrap_or(&self.kept).clone());
        Some(Cmd::Complete)
    }
}

const CLEAR: Cmd = Cmd::Kill(Movement::WholeBuffer);

/// How many bytes at their beginnings all words share, whatever their case.
fn common(words: &[String]) -> usize {
    let shared = |word: &String| {
        let pairs = word.chars().zip(words[0].chars());
        let same = pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b));
        same.map(|(a, _)| a.len_utf8()).sum()
    };
    words.iter().map(shared).min().unwrap_or_default()
}
