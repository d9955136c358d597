//! The operator: a client whose reader is the keyboard and whose writer prints. Its output may lose
//! lines, but never costs another client anything.

use std::{sync::Arc, time::Duration};

use common::LineError;
use tokio::{
    select,
    sync::{
        Semaphore,
        mpsc::{Receiver, Sender, UnboundedReceiver, error::TrySendError},
    },
    time::timeout,
};

use crate::{
    batch::Outgoing,
    hub::{Event, OPERATOR},
    reader::{LINES, PERMITS},
};

/// How long a full output may hold its room up, once.
const STALL: Duration = Duration::from_millis(250);

/// Serves the operator until the hub drops the outbox. At EOF, only the keyboard is lost.
pub(crate) async fn run(
    mut typed: Receiver<Result<String, LineError>>,
    output: Sender<Arc<str>>,
    events: Sender<Event>,
    mut outbox: UnboundedReceiver<Outgoing>,
) {
    let mut output = Output::new(output);
    let read = async {
        let permits = Arc::new(Semaphore::new(PERMITS));
        let mut lines = Vec::new();
        while typed.recv_many(&mut lines, LINES).await > 0 {
            let permit = permits.clone().acquire_owned().await;
            let permit = Arc::new(permit.expect("an open semaphore"));
            let received = Event::Received(OPERATOR, std::mem::take(&mut lines), permit);
            // Fails if the hub has ended, which ends the outbox.
            let _ = events.send(received).await;
        }
        std::future::pending().await
    };
    let write = async {
        while let Some(item) = outbox.recv().await {
            let ranges = item.batch.visible(OPERATOR, 0);
            let bytes: Vec<_> = ranges
                .flat_map(|range| &item.batch.bytes()[range])
                .copied()
                .collect();
            // Others need not wait until it is printed.
            drop(item);
            output.send(String::from_utf8_lossy(&bytes).into()).await;
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
pub(crate) struct Output {
    outbox: Sender<Arc<str>>,
    stalled: bool,
}

impl Output {
    /// An output that has not stalled.
    pub(crate) fn new(outbox: Sender<Arc<str>>) -> Self {
        Self {
            outbox,
            stalled: false,
        }
    }

    /// Waits for at most [`STALL`]. After that it drops batches, until everything queued has been
    /// printed.
    pub(crate) async fn send(&mut self, batch: Arc<str>) {
        if self.stalled && self.outbox.capacity() < self.outbox.max_capacity() {
            return;
        }
        self.stalled = match self.outbox.try_send(batch) {
            Err(TrySendError::Full(batch)) => {
                timeout(STALL, self.outbox.send(batch)).await.is_err()
            }
            // A closed output takes nothing, at once.
            Err(TrySendError::Closed(_)) | Ok(()) => false,
        };
    }
}
