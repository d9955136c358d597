//! The editor state: the draft, what the keys do with it, and what waits to be shown.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{io, mem};

use common::{LineError, MAX_TEXT, sanitize};
use rustix::termios::{Termios, tcgetattr};
use rustyline::{Cmd, Movement};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, WeakSender};

use crate::colours;
use crate::completions::Completions;
use crate::history::History;
use crate::outbox::Outbox;

/// The prompt before the draft.
pub(crate) const PROMPT: &str = "> ";

/// How many bytes of local lines may wait to be shown. Lines beyond that are sent, but not shown.
const ECHO: usize = 1024 * 1024;

/// Empties the draft.
const CLEAR: Cmd = Cmd::Kill(Movement::WholeBuffer);

/// State shared by the editor, the printer and the terminal's drop guard. No method waits for the
/// client or for the terminal.
#[derive(Debug)]
pub(crate) struct EditorState {
    /// Weak: the printer ends when the client has dropped its last sender.
    output: WeakSender<Arc<str>>,
    colours: bool,
    /// The terminal's settings while the editor runs. Empty before the first prompt.
    pub(crate) settings: OnceLock<Termios>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Drafts for the client. `None` once the editor has left.
    pub(crate) outbox: Option<Outbox>,
    /// The text in the editor.
    pub(crate) draft: String,
    pub(crate) history: History,
    /// Local lines that wait to be shown: drafts that were sent, and errors.
    echo: String,
    completions: Completions,
    /// Present when the editor is asked to stop; it sends `Ok` when it has.
    pub(crate) stopping: Option<Sender<io::Result<()>>>,
    /// Whether the editor has stopped. Then nothing but the drop guard writes to the terminal.
    pub(crate) stopped: bool,
}

impl EditorState {
    pub(crate) fn new(output: WeakSender<Arc<str>>, colours: bool) -> Self {
        Self { output, colours, settings: OnceLock::new(), inner: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic leaves no update half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the terminal's settings, the first time. Call it while the editor runs.
    pub(crate) fn keep_settings(&self) {
        if self.settings.get().is_none()
            && let Ok(settings) = tcgetattr(io::stdin())
        {
            // Only the editor thread gets here, so it is still empty.
            let _ = self.settings.set(settings);
        }
    }

    /// Enter: sends the draft, which has several lines if it was pasted. If it cannot be sent, it
    /// stays in the editor, and a line says why.
    pub(crate) fn enter(&self, draft: &str) -> Option<Cmd> {
        if draft.lines().any(|line| line.len() > MAX_TEXT) {
            return self.refuse(LineError::TooLong { limit: MAX_TEXT });
        }
        if draft.trim().is_empty() {
            return Some(CLEAR);
        }
        let slot = self.lock().outbox.as_ref().map(Outbox::reserve);
        if let Some(Err(TrySendError::Full(_))) = slot {
            return self.refuse("not sent: the server is not reading");
        }
        self.lock().history.push(draft);
        for line in draft.lines().filter(|line| !line.trim().is_empty()) {
            self.echo(&format!("{PROMPT}{}", sanitize(line)));
        }
        // Last, so that an answer cannot overtake the echo. Without a slot, the chat is ending.
        if let Some(Ok(slot)) = slot {
            slot.send(draft.into());
        }
        Some(CLEAR)
    }

    fn refuse(&self, reason: impl std::fmt::Display) -> Option<Cmd> {
        self.echo(&self.paint(&format!("! {reason}")));
        Some(Cmd::Noop)
    }

    /// Leaves the chat. Does not wait for drafts that are not sent yet.
    pub(crate) fn leave(&self) {
        self.lock().outbox = None;
    }

    /// Ctrl-C: empties the draft; leaves if it is empty already.
    pub(crate) fn clear(&self, draft: &str) -> Option<Cmd> {
        if draft.is_empty() {
            self.leave();
            return Some(Cmd::Noop);
        }
        self.lock().history.rewind();
        Some(CLEAR)
    }

    /// Ctrl-D: deletes a character; leaves if the draft is empty.
    pub(crate) fn delete(&self, draft: &str) -> Option<Cmd> {
        if !draft.is_empty() {
            return None;
        }
        self.leave();
        Some(Cmd::Noop)
    }

    /// Up.
    pub(crate) fn older(&self, draft: &str) -> Option<Cmd> {
        Some(self.lock().history.older(draft))
    }

    /// Down.
    pub(crate) fn newer(&self, _draft: &str) -> Option<Cmd> {
        Some(self.lock().history.newer())
    }

    /// Tab: where the word at the end of `draft` begins, and what replaces it, if anything does.
    /// Shows the candidates if there are several.
    pub(crate) fn complete(&self, draft: &str) -> (usize, Vec<String>) {
        let (start, mut found) = self.lock().completions.find(draft);
        if found.len() > 1 {
            let common = common_prefix(&found);
            if common <= draft.len() - start {
                let candidates: Vec<_> = found.iter().map(|word| word.trim_end()).collect();
                self.echo(&self.paint(&format!("* {}", candidates.join(", "))));
                return (start, vec![draft[start..].into()]);
            }
            found.truncate(1);
            found[0].truncate(common);
        }
        (start, found)
    }

    /// Queues a local line to be shown after everything shown so far.
    pub(crate) fn echo(&self, line: &str) {
        let mut state = self.lock();
        if state.echo.len() < ECHO {
            state.echo.push_str(line);
            state.echo.push('\n');
        }
        if let Some(output) = self.output.upgrade() {
            // Wakes the printer. If the queue is full, the printer is awake.
            let _ = output.try_send("".into());
        }
    }

    /// The text to print: the local lines that wait, then `lines`. Learns names and rooms. `None` if
    /// the editor has stopped.
    pub(crate) fn show(&self, lines: &str) -> Option<String> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        let mut text = mem::take(&mut state.echo);
        for line in lines.lines() {
            state.completions.learn(line);
            text.push_str(&self.paint(line));
            text.push('\n');
        }
        Some(text)
    }

    fn paint(&self, line: &str) -> String {
        match self.colours {
            true => colours::paint(line),
            false => line.into(),
        }
    }
}

impl Inner {
    /// Marks the editor as stopped, and sends the result if it was asked to stop.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        if let Some(result) = self.stopping.take() {
            // Fails if the chat has a result already.
            let _ = result.try_send(Ok(()));
        }
    }
}

/// The length in bytes of the longest prefix that all words share, ignoring ASCII case.
fn common_prefix(words: &[String]) -> usize {
    let shared = |word: &String| {
        let pairs = word.chars().zip(words[0].chars());
        let same = pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b));
        same.map(|(a, _)| a.len_utf8()).sum()
    };
    words.iter().map(shared).min().unwrap_or_default()
}
