//! The operator: a client whose reader is the keyboard and whose writer prints. Its output may lose
//! lines, so that no other client does.

use std::sync::Arc;
use std::time::Duration;

use common::LineError;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver};

use crate::batch::{Batch, OPERATOR};
use crate::hub::Event;
use crate::reader::{LINES, PERMITS, acquire};

/// How long each stall of the output may hold up the room.
const STALL: Duration = Duration::from_millis(250);

/// Serves the operator until the hub drops the sender. EOF ends the keyboard only.
pub(crate) async fn run(
    mut typed: Receiver<Result<String, LineError>>,
    output: Sender<Arc<str>>,
    events: Sender<Event>,
    mut outbox: UnboundedReceiver<Arc<Batch>>,
) {
    let mut output = Output { printer: output, stalled: false };
    let read = async {
        let permits = Arc::new(Semaphore::new(PERMITS));
        let mut lines = Vec::new();
        while typed.recv_many(&mut lines, LINES).await > 0 {
            let permit = acquire(&permits).await;
            let received = Event::Received(OPERATOR, std::mem::take(&mut lines), permit);
            // Fails if the hub has ended, which ends the outbox.
            let _ = events.send(received).await;
        }
        std::future::pending().await
    };
    let write = async {
        while let Some(batch) = outbox.recv().await {
            let parts: Vec<_> =
                batch.visible(OPERATOR, 0).map(|range| &batch.bytes()[range]).collect();
            let lines = String::from_utf8_lossy(&parts.concat()).into();
            // Returns the permits: no client waits until the lines are printed.
            drop(batch);
            output.send(lines).await;
        }
    };
    // The end of the outbox ends both.
    select! {
        () = read => {}
        () = write => {}
    }
}

/// The operator's output. If it stays full, its lines are dropped.
#[derive(Debug)]
struct Output {
    printer: Sender<Arc<str>>,
    stalled: bool,
}

impl Output {
    /// Waits for at most [`STALL`]. After that it drops batches, until everything queued has been
    /// printed.
    async fn send(&mut self, batch: Arc<str>) {
        if self.stalled && self.printer.capacity() < self.printer.max_capacity() {
            return;
        }
        self.stalled = self.printer.send_timeout(batch, STALL).await.is_err();
    }
}
