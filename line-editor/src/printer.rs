//! The printer thread: text from the client goes on the screen, above the draft.

use std::io;
use std::sync::Arc;

use rustyline::ExternalPrinter;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::state::EditorState;

/// A line that takes no space: the cursor goes up again.
pub(crate) const EMPTY_LINE: &str = "\x1b[A";

/// How many bytes are printed at once; the last line may exceed it.
const CHUNK: usize = 16 * 1024;

/// Shows lines until every sender is dropped. Then asks the editor to stop, and to send `result`. Ends
/// early if the terminal is restored or gone.
pub(crate) fn run(
    mut lines: Receiver<Arc<str>>,
    mut printer: impl ExternalPrinter,
    state: &EditorState,
    result: Sender<io::Result<()>>,
) -> rustyline::Result<()> {
    while let Some(line) = lines.blocking_recv() {
        let Some(text) = state.show(&coalesce(&line, &mut lines)) else {
            return Ok(());
        };
        if !text.is_empty() {
            printer.print(text)?;
        }
    }
    if state.lock().stopped {
        return Ok(());
    }
    let mut redraw = || printer.print(format!("{EMPTY_LINE}\n"));
    // The queue to the editor has room for one text. When the second of these is in it, the editor
    // has shown everything before the first.
    redraw()?;
    redraw()?;
    let mut state = state.lock();
    if !state.stopped {
        state.stopping = Some(result);
        drop(state);
        redraw()?;
    }
    Ok(())
}

/// Joins `line` and the lines queued behind it, up to [`CHUNK`].
fn coalesce(line: &str, lines: &mut Receiver<Arc<str>>) -> String {
    let mut chunk = String::from(line);
    while chunk.len() < CHUNK
        && let Ok(line) = lines.try_recv()
    {
        chunk.push_str(&line);
    }
    chunk
}
