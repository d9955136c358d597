//! The way of a draft from the editor thread to the client.
//!
//! The editor thread must never wait for the client, or Ctrl-C would be dead while the server does
//! not read. So drafts wait in a bounded queue, and a task passes them on.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::time::Duration;

use common::LineError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{OwnedPermit, Receiver, Sender, WeakSender, channel};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How many drafts may wait for the client. Each has at most `MAX_TEXT` bytes, unless it was pasted.
const DRAFTS: usize = 1024;

/// How long the client has to end the chat after the editor left.
const LINGER: Duration = Duration::from_secs(1);

/// The editor's end. Dropping it leaves the chat: behind the waiting drafts the client receives
/// `/exit`, and a second later at most, it receives a result.
#[derive(Debug)]
pub(crate) struct Outbox {
    drafts: Sender<String>,
    // Never sends. The drop is the message, and it does not queue behind drafts.
    _present: oneshot::Sender<Infallible>,
}

impl Outbox {
    /// Starts the tasks between the editor and the client.
    pub(crate) fn open(
        typing: Sender<Result<String, LineError>>,
        result: WeakSender<io::Result<()>>,
    ) -> Self {
        let (drafts, waiting) = channel(DRAFTS);
        let (present, left) = oneshot::channel();
        tokio::spawn(forward(waiting, typing));
        tokio::spawn(give_up(left, result));
        Self { drafts, _present: present }
    }

    /// A slot for one draft, if there is one. Does not wait.
    pub(crate) fn reserve(&self) -> Result<OwnedPermit<String>, TrySendError<Sender<String>>> {
        self.drafts.clone().try_reserve_owned()
    }
}

/// Passes drafts on, line by line, and `/exit` behind the last one. Ends early if the client does
/// not send any more.
async fn forward(mut drafts: Receiver<String>, typing: Sender<Result<String, LineError>>) {
    while let Some(draft) = drafts.recv().await {
        for line in draft.lines().filter(|line| !line.trim().is_empty()) {
            if typing.send(Ok(line.into())).await.is_err() {
                return;
            }
        }
    }
    // Fails if the client does not send any more.
    let _ = typing.send(Ok("/exit".into())).await;
}

/// Ends the chat if the editor left and the client is still here a second later: its writer may be
/// blocked in a write to a server that does not read.
async fn give_up(left: oneshot::Receiver<Infallible>, result: WeakSender<io::Result<()>>) {
    // An error means that the outbox is dropped.
    let _ = left.await;
    sleep(LINGER).await;
    if let Some(result) = result.upgrade() {
        // Fails if there is a result already.
        let _ = result.try_send(Err(ErrorKind::TimedOut.into()));
    }
}
