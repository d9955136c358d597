//! The client on a terminal: a draft at the bottom, and above it what is said.
//!
//! The editor's `readline` never returns while the chat goes on. Between two of them the terminal
//! would be as it was before, and what is shown or typed in that moment would overtake or be lost.
//! So every key that ends a line or the chat is bound to a function of the desk, which sends
//! the line and empties the draft.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal, Write},
    sync::{
        Arc, OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use rustix::{
    process::Signal,
    termios::{OptionalActions, Termios, tcgetattr, tcsetattr},
};
use rustyline::{
    Changeset, Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor,
    Event, EventContext, EventHandler, ExternalPrinter, Helper, KeyCode, KeyEvent, Modifiers,
    RepeatCount, completion::Completer, error::ReadlineError, highlight::Highlighter, hint::Hinter,
    history::MemHistory, line_buffer::LineBuffer, validate::Validator,
};
use signal_hook::low_level::emulate_default_handler;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
};

use crate::{
    client::{Console, QUEUE, gather},
    desk::{Desk, PROMPT},
};

/// A line that takes no place on the screen.
const NOTHING: &str = "\x1b[A";

/// A terminal on which lines are edited. Dropped, it is as it was before.
#[derive(Debug)]
pub struct Terminal {
    saved: Termios,
    desk: Arc<Desk>,
}

impl Terminal {
    /// Takes the terminal, if stdin and stdout are one on which lines can be edited.
    ///
    /// The editor and the printer are threads, which nobody joins. A signal that ends the process
    /// still does, when the terminal is as it was.
    ///
    /// # Errors
    ///
    /// A thread or a signal handler that could not start.
    pub fn open() -> io::Result<Option<(Self, Console)>> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let saved = tcgetattr(io::stdin())?;
        let (typing, typed) = channel(QUEUE);
        let (screen, shown) = channel(QUEUE);
        let colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let desk = Arc::new(Desk::new(typing, screen.downgrade(), colours));
        let (ready, prompted) = sync_channel(1);
        // Fails on a terminal that is too simple.
        let Ok((editor, mut printer)) = editor(&desk, ready) else {
            return Ok(None);
        };
        let terminal = Self {
            saved,
            desk: desk.clone(),
        };
        let edited = Arc::new(OnceLock::new());
        terminal.heed_signals(edited.clone())?;
        let (told, printed) = channel(1);
        thread::Builder::new().name("printer".into()).spawn({
            let desk = desk.clone();
            move || {
                // Before the first prompt, what is shown could get behind it. Fails if the editor
                // has failed, which closes `typed`.
                let _ = prompted.recv();
                // Fails if the terminal is gone.
                let _ = tcgetattr(io::stdin()).map(|settings| edited.set(settings));
                // Fails if the terminal is gone. Dropping `told` says that there is no more to show.
                let _ = print(shown, &mut printer, &desk, told);
            }
        })?;
        thread::Builder::new()
            .name("editor".into())
            .spawn(move || edit(editor, &desk))?;
        let console = Console {
            typed,
            screen,
            printed,
        };
        Ok(Some((terminal, console)))
    }

    /// Restores the terminal when a signal comes that ends the process, and lets it. When the
    /// process goes on after a stop, the editor gets its settings back.
    fn heed_signals(&self, edited: Arc<OnceLock<Termios>>) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let (saved, desk) = (self.saved.clone(), self.desk.clone());
        tokio::spawn(async move {
            let kind = loop {
                select! {
                    _ = hangup.recv() => break SignalKind::hangup(),
                    _ = quit.recv() => break SignalKind::quit(),
                    _ = terminate.recv() => break SignalKind::terminate(),
                    _ = go_on.recv() => if let Some(edited) = edited.get() {
                        resume(edited, &desk);
                    }
                }
            };
            restore(&saved, &desk);
            // Does not return for any of these.
            let _ = emulate_default_handler(kind.as_raw_value());
        });
        Ok(())
    }
}

/// The editor stops the process for Ctrl-Z, but beside other threads it may go on for a moment
/// before it is stopped, and then it has done this too early.
fn resume(edited: &Termios, desk: &Desk) {
    // Both fail if the terminal is gone.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, edited);
    let _ = io::stdout().write_all(b"\x1b[?2004h");
    let _ = io::stdout().flush();
    desk.echo(NOTHING);
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(&self.saved, &self.desk);
    }
}

/// Settings first: a terminal that is held takes no more bytes, but it takes these.
fn restore(saved: &Termios, desk: &Desk) {
    // Both fail if the terminal is gone.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
    let state = desk.state();
    let last = match state.draft.as_str() {
        "" => "\r\x1b[K".into(),
        draft if state.parked => format!("{PROMPT}{draft}\n"),
        _ => "\n".into(),
    };
    // What comes from a paste is marked no more.
    let _ = write!(io::stdout(), "\x1b[?2004l{last}");
    let _ = io::stdout().flush();
}

type Keyboard = Editor<Tab, MemHistory>;

fn editor(
    desk: &Arc<Desk>,
    ready: SyncSender<()>,
) -> rustyline::Result<(Keyboard, impl ExternalPrinter + Send + use<>)> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        // Calls the helper for the prompt, whatever `NO_COLOR` says.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = Editor::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(Tab {
        desk: desk.clone(),
        ready,
    }));
    let keys: [(KeyEvent, Act); 9] = [
        (KeyEvent(KeyCode::Enter, Modifiers::NONE), Desk::enter),
        (KeyEvent::ctrl('M'), Desk::enter),
        (KeyEvent::ctrl('J'), Desk::enter),
        (KeyEvent::ctrl('C'), Desk::clear),
        (KeyEvent::ctrl('D'), Desk::delete),
        (KeyEvent(KeyCode::Up, Modifiers::NONE), Desk::older),
        (KeyEvent::ctrl('P'), Desk::older),
        (KeyEvent(KeyCode::Down, Modifiers::NONE), Desk::newer),
        (KeyEvent::ctrl('N'), Desk::newer),
    ];
    for (key, act) in keys {
        let desk = desk.clone();
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(Key { desk, act })));
    }
    let printer = editor.create_external_printer()?;
    Ok((editor, printer))
}

/// Edits until the terminal is gone.
fn edit(mut editor: Keyboard, desk: &Desk) {
    let _resting = Resting(desk);
    loop {
        let draft = desk.state().draft.clone();
        match editor.readline_with_initial(PROMPT, (&draft, "")) {
            // Bytes that are no UTF-8: the draft is kept.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {}
            // The editor takes SIGINT, too.
            Err(ReadlineError::Signal(_) | ReadlineError::Interrupted) => drop(desk.leave()),
            _ => break,
        }
    }
}

/// Says that nothing more will be typed or shown, when it is dropped: by a panic, too.
struct Resting<'a>(&'a Desk);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.typing = None;
        state.draft.clear();
        state.rest();
    }
}

/// Shows lines until their sender is dropped, or until the terminal is gone. Then the editor is to
/// say so, and rest.
fn print(
    mut lines: Receiver<Arc<str>>,
    printer: &mut impl ExternalPrinter,
    desk: &Desk,
    told: Sender<io::Result<()>>,
) -> rustyline::Result<()> {
    while let Some(line) = lines.blocking_recv() {
        let batch = gather(line, &mut lines);
        let text = desk.show(&String::from_utf8_lossy(&batch));
        if !text.is_empty() {
            printer.print(text)?;
        }
    }
    let mut nothing = || printer.print(format!("{NOTHING}\n"));
    // There is room for one: when the second of these is in, all that came before is shown.
    nothing()?;
    nothing()?;
    let mut state = desk.state();
    if !state.parked {
        state.told = Some(told);
        drop(state);
        nothing()?;
    }
    Ok(())
}

/// What a key does with the draft. `None` is what it does in every editor.
type Act = fn(&Desk, &str) -> Option<Cmd>;

struct Key {
    desk: Arc<Desk>,
    act: Act,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, ctx: &EventContext<'_>) -> Option<Cmd> {
        (self.act)(&self.desk, ctx.line())
    }
}

/// What the Tab key knows.
struct Tab {
    desk: Arc<Desk>,
    ready: SyncSender<()>,
}

/// Also how the Up key sets the draft: the editor's own replacing leaves the cursor in front.
impl Completer for Tab {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let recalled = self.desk.state().recalling.clone();
        Ok(match recalled {
            Some(said) => (0, vec![said]),
            None => self.desk.complete(&line[..pos]),
        })
    }

    fn update(&self, line: &mut LineBuffer, start: usize, elected: &str, changes: &mut Changeset) {
        match self.desk.state().recalling.take() {
            Some(said) => line.update(&said, said.len(), changes),
            None => line.replace(start..line.pos(), elected, changes),
        }
    }
}

impl Hinter for Tab {
    type Hint = String;

    /// Gives none. It is called whenever the draft has changed, and before the first prompt.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.desk.state().draft = line.into();
        // Full from the second time on.
        let _ = self.ready.try_send(());
        None
    }
}

impl Highlighter for Tab {
    /// Called whenever the prompt is about to be shown.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        let mut state = self.desk.state();
        if state.told.is_some() {
            state.rest();
            drop(state);
            loop {
                thread::park();
            }
        }
        prompt.into()
    }
}

impl Validator for Tab {}
impl Helper for Tab {}
