//! Drafts that were sent, for the Up and Down keys.

use rustyline::Cmd;

/// How many drafts are kept.
const DRAFTS: usize = 1000;

/// The drafts that were sent, and which one is in the editor.
#[derive(Debug, Default)]
pub(crate) struct History {
    sent: Vec<String>,
    /// The index of the draft in the editor. Behind the last one, it is the unsent draft.
    position: usize,
    unsent: String,
    /// The draft that a key has chosen, on its way into the editor.
    pub(crate) recalled: Option<String>,
}

impl History {
    /// Adds a draft that is sent.
    pub(crate) fn push(&mut self, draft: &str) {
        if self.sent.last().is_none_or(|last| last != draft) {
            self.sent.push(draft.into());
        }
        if self.sent.len() > DRAFTS {
            self.sent.remove(0);
        }
        self.rewind();
    }

    /// Goes to the unsent draft.
    pub(crate) fn rewind(&mut self) {
        self.position = self.sent.len();
    }

    /// Recalls the draft before the one in the editor.
    pub(crate) fn older(&mut self, draft: &str) -> Cmd {
        if self.position == self.sent.len() {
            self.unsent = draft.into();
        }
        match self.position {
            0 => Cmd::Noop,
            n => self.recall(n - 1),
        }
    }

    /// Recalls the draft after the one in the editor.
    pub(crate) fn newer(&mut self) -> Cmd {
        match self.position {
            n if n == self.sent.len() => Cmd::Noop,
            n => self.recall(n + 1),
        }
    }

    /// Completion puts the recalled draft into the editor.
    fn recall(&mut self, n: usize) -> Cmd {
        self.position = n;
        self.recalled = Some(self.sent.get(n).unwrap_or(&self.unsent).clone());
        Cmd::Complete
    }
}
