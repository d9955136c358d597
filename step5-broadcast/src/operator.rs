//! The operator's screen: a participant without a socket.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{Sender, error::TrySendError},
    time::timeout,
};

use crate::feed::Feed;

/// How long a full screen may hold its room up, once.
const STUCK: Duration = Duration::from_millis(250);

/// Shows what the operator is to read, until the hub ends.
pub(crate) async fn show(mut feed: Feed, screen: Sender<Arc<str>>) {
    let mut screen = Screen::new(screen);
    while !feed.ended() {
        let mut lines = Vec::new();
        // Memory takes every byte.
        let _ = feed.advance(|pieces| {
            let before = lines.len();
            pieces
                .iter()
                .for_each(|piece| lines.extend_from_slice(piece));
            Ok(lines.len() - before)
        });
        if !lines.is_empty() {
            // Whole lines, which were text when they were rendered.
            let lines = String::from_utf8(lines).unwrap_or_default();
            screen.show(lines.into()).await;
        }
        if !feed.ended() {
            // Fails only for who puts off.
            let _ = feed.wait(false).await;
        }
    }
}

/// The operator's outbox. Nobody can be evicted from it: what it does not take in time is lost.
#[derive(Debug)]
struct Screen {
    outbox: Sender<Arc<str>>,
    stuck: bool,
}

impl Screen {
    fn new(outbox: Sender<Arc<str>>) -> Self {
        let stuck = false;
        Self { outbox, stuck }
    }

    /// Waits for at most [`STUCK`], and then not again before everything queued has been printed.
    async fn show(&mut self, lines: Arc<str>) {
        if self.stuck && self.outbox.capacity() < self.outbox.max_capacity() {
            return;
        }
        self.stuck = match self.outbox.try_send(lines) {
            Err(TrySendError::Full(lines)) => {
                timeout(STUCK, self.outbox.send(lines)).await.is_err()
            }
            sent => sent.is_err(),
        };
    }
}
