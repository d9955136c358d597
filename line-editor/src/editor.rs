//! The editor thread: rustyline, with its keys bound to the editor state.
//!
//! `readline` does not return while the chat goes on. Between two calls the terminal would have its
//! old settings: it would echo what is pasted, and output could overtake older output. So every key
//! that ends a line or the chat is bound to a function of [`EditorState`], which takes the draft and
//! empties it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::{io, thread};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::Validator;
use rustyline::{
    Changeset, Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor,
    Event, EventContext, EventHandler, ExternalPrinter, Helper, KeyCode, KeyEvent, Modifiers,
    RepeatCount,
};

use crate::state::{EditorState, PROMPT};

pub(crate) type Keyboard = Editor<Hooks, MemHistory>;

/// An editor, and a printer that writes above its draft. `ready` has a message once the first
/// prompt is about to be shown.
pub(crate) fn new(
    state: &Arc<EditorState>,
    ready: SyncSender<()>,
) -> rustyline::Result<(Keyboard, impl ExternalPrinter + Send + use<>)> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        // Otherwise `NO_COLOR` would also turn off `highlight_prompt`, where the editor stops.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = Editor::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Hooks { state: state.clone(), ready }));
    let keys: [(KeyEvent, Action); 9] = [
        (KeyEvent(KeyCode::Enter, Modifiers::NONE), EditorState::enter),
        (KeyEvent::ctrl('M'), EditorState::enter),
        (KeyEvent::ctrl('J'), EditorState::enter),
        (KeyEvent::ctrl('C'), EditorState::clear),
        (KeyEvent::ctrl('D'), EditorState::delete),
        (KeyEvent(KeyCode::Up, Modifiers::NONE), EditorState::older),
        (KeyEvent::ctrl('P'), EditorState::older),
        (KeyEvent(KeyCode::Down, Modifiers::NONE), EditorState::newer),
        (KeyEvent::ctrl('N'), EditorState::newer),
    ];
    for (key, action) in keys {
        let state = state.clone();
        let binding = Binding { state, action };
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(binding)));
    }
    let printer = editor.create_external_printer()?;
    Ok((editor, printer))
}

/// Edits until the terminal is gone.
pub(crate) fn run(mut editor: Keyboard, state: &EditorState) {
    let _ending = Ending(state);
    loop {
        let draft = state.lock().draft.clone();
        match editor.readline_with_initial(PROMPT, (&draft, "")) {
            // Bytes that are not UTF-8. The draft survives them.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {}
            // The editor handles SIGINT, too.
            Err(ReadlineError::Signal(_) | ReadlineError::Interrupted) => state.leave(),
            _ => break,
        }
    }
}

/// A drop guard that leaves the chat when the editor thread ends, by a panic too.
struct Ending<'a>(&'a EditorState);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.outbox = None;
        state.draft.clear();
        state.stop();
    }
}

/// What a key does with the draft. `None` is the key's usual effect.
type Action = fn(&EditorState, &str) -> Option<Cmd>;

struct Binding {
    state: Arc<EditorState>,
    action: Action,
}

impl ConditionalEventHandler for Binding {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, ctx: &EventContext<'_>) -> Option<Cmd> {
        (self.action)(&self.state, ctx.line())
    }
}

/// What rustyline calls while it edits.
pub(crate) struct Hooks {
    state: Arc<EditorState>,
    ready: SyncSender<()>,
}

/// For the Tab key, and for the Up and Down keys, whose own way to replace the draft would leave
/// the cursor in front of it.
impl Completer for Hooks {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let recalled = self.state.lock().history.recalled.clone();
        Ok(match recalled {
            Some(draft) => (0, vec![draft]),
            None => self.state.complete(&line[..pos]),
        })
    }

    fn update(&self, line: &mut LineBuffer, start: usize, elected: &str, changes: &mut Changeset) {
        match self.state.lock().history.recalled.take() {
            Some(draft) => line.update(&draft, draft.len(), changes),
            None => line.replace(start..line.pos(), elected, changes),
        }
    }
}

impl Hinter for Hooks {
    type Hint = String;

    /// Gives no hint. rustyline calls this after every change of the draft, and before the first
    /// prompt.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.state.keep_settings();
        self.state.lock().draft = line.into();
        // Full from the second call on.
        let _ = self.ready.try_send(());
        None
    }
}

impl Highlighter for Hooks {
    /// rustyline calls this before it shows the prompt. The editor stops here, if the printer asks for
    /// it or the terminal is restored: `readline` itself cannot be cancelled.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        let mut state = self.state.lock();
        if state.stopping.is_some() || state.stopped {
            state.stop();
            drop(state);
            loop {
                thread::park();
            }
        }
        prompt.into()
    }
}

impl Validator for Hooks {}
impl Helper for Hooks {}
