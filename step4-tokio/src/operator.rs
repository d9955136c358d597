//! The operator's output. It may lose lines, so that no client does.

use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::batch::Batch;

/// How long each stall of the output may hold up the room.
const STALL: Duration = Duration::from_millis(250);

/// The operator's outbox. The operator cannot be evicted: if the output stays full, its lines are
/// dropped.
#[derive(Debug)]
pub(crate) struct Output {
    printer: Sender<Batch>,
    stalled: bool,
}

impl Output {
    /// An output that has not stalled.
    pub(crate) fn new(printer: Sender<Batch>) -> Self {
        Self { printer, stalled: false }
    }

    /// Waits for at most [`STALL`]. After that it drops batches, until everything queued has been
    /// printed.
    pub(crate) async fn send(&mut self, batch: Batch) {
        if self.stalled && self.printer.capacity() < self.printer.max_capacity() {
            return;
        }
        self.stalled = self.printer.send_timeout(batch, STALL).await.is_err();
    }
}
