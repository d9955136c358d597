//! The terminal: opening it, restoring it on every way out, and the signals that end or stop the
//! process.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::{env, thread};

use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::low_level::emulate_default_handler;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::channel;

use crate::outbox::Outbox;
use crate::printer::{self, EMPTY_LINE};
use crate::state::{EditorState, PROMPT};
use crate::{Console, editor};

/// How many pieces of text may wait to be shown.
const OUTPUT: usize = 256;

/// A terminal with a line editor.
///
/// This is a drop guard: dropping it restores the terminal's settings. Keep it until the chat has
/// ended, that is until [`Console::printed`] has a result or you stop waiting for it.
#[derive(Debug)]
pub struct Terminal {
    saved: Termios,
    state: Arc<EditorState>,
}

impl Terminal {
    /// Starts the editor, if stdin and stdout are a terminal that can edit lines. Otherwise returns
    /// `Ok(None)`, and the terminal is unchanged.
    ///
    /// Two threads start, `editor` and `printer`, and three tasks. A blocking read of a keyboard
    /// cannot be cancelled, so nothing joins the threads; they end with the process.
    /// - The printer ends when every [`Console::output`] sender is dropped, or the terminal is gone.
    /// - The editor then stops before it shows its next prompt. It ends if the terminal is gone.
    ///
    /// SIGHUP, SIGQUIT and SIGTERM still end the process, after the terminal is restored.
    ///
    /// # Errors
    ///
    /// The settings of the terminal cannot be read, or a thread or a signal handler cannot start.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub fn open() -> io::Result<Option<(Self, Console)>> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let saved = tcgetattr(io::stdin())?;
        let (output, lines) = channel(OUTPUT);
        let colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let state = Arc::new(EditorState::new(output.downgrade(), colours));
        let (ready, prompted) = sync_channel(1);
        // Fails on a terminal that is too simple, such as `TERM=dumb`.
        let Ok((editor, printer)) = editor::new(&state, ready) else {
            return Ok(None);
        };
        let (typing, typed) = channel(1);
        let (result, printed) = channel(1);
        state.lock().outbox = Some(Outbox::open(typing, result.downgrade()));
        let terminal = Self { saved, state: state.clone() };
        terminal.handle_signals()?;
        thread::Builder::new().name("printer".into()).spawn({
            let state = state.clone();
            move || {
                // Text shown before the first prompt could get below it. Fails if the editor has
                // ended, and then the output has nowhere to go.
                let _ = prompted.recv();
                // Fails if the terminal is gone. Then the result channel closes.
                let _ = printer::run(lines, printer, &state, result);
            }
        })?;
        thread::Builder::new().name("editor".into()).spawn(move || editor::run(editor, &state))?;
        let console = Console { typed, output, printed };
        Ok(Some((terminal, console)))
    }

    /// Restores the terminal before a signal ends the process. When the process continues after a
    /// stop, the editor gets its settings back.
    fn handle_signals(&self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut resumed = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let (saved, state) = (self.saved.clone(), self.state.clone());
        tokio::spawn(async move {
            let kind = loop {
                select! {
                    _ = hangup.recv() => break SignalKind::hangup(),
                    _ = quit.recv() => break SignalKind::quit(),
                    _ = terminate.recv() => break SignalKind::terminate(),
                    _ = resumed.recv() => resume(&state),
                }
            };
            restore(&saved, &state);
            // Does not return: the default action of these signals ends the process.
            let _ = emulate_default_handler(kind.as_raw_value());
        });
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(&self.saved, &self.state);
    }
}

/// Gives the editor its settings back and redraws the draft.
///
/// For Ctrl-Z, the editor stops the process and sets the terminal again afterwards. But the editor
/// is one of several threads: it can run on for a moment before the stop takes effect, and then it
/// has set the terminal too early.
fn resume(state: &EditorState) {
    let Some(settings) = state.settings.get() else { return };
    // All fail if the terminal is gone.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
    let _ = io::stdout().write_all(b"\x1b[?2004h");
    let _ = io::stdout().flush();
    state.echo(EMPTY_LINE);
}

/// Restores the settings first: a terminal on hold accepts settings, but no bytes. Afterwards neither
/// the editor nor the printer writes to the terminal.
fn restore(saved: &Termios, state: &EditorState) {
    // All fail if the terminal is gone.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
    let mut state = state.lock();
    let last = match state.draft.as_str() {
        "" => "\r\x1b[K".into(),
        draft if state.stopped => format!("{PROMPT}{draft}\n"),
        _ => "\n".into(),
    };
    state.stopped = true;
    // Turns bracketed paste off, and ends the synchronized update in which the editor stopped.
    let _ = write!(io::stdout(), "\x1b[?2004l{last}\x1b[?2026l");
    let _ = io::stdout().flush();
}
