//! The writing half of a session: what to write next, and what to do with a slow consumer.
//!
//! Sans-IO: the session owns the socket, and tests use a sink of their own.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use common::Line;
use tokio::time::Instant;

use crate::batch::{Batch, Id};

/// The stall budget: how long a stall may last before the client lags. It refills slowly.
pub const STALL_BUDGET: Duration = Duration::from_millis(500);

/// A stall of this length is always allowed, and only what exceeds it is taken from the budget:
/// under heavy load every reader has such stalls.
pub const FREE_STALL: Duration = Duration::from_millis(250);

/// A stall lasts until the socket has accepted this many bytes, or everything. So a reader that
/// keeps up is not charged for a large batch, and a client that trickles is charged for all of it.
const STALL_BYTES: usize = 64 * 1024;

/// How many milliseconds without a stall refill the budget by one millisecond.
const REFILL: u32 = 16;

/// How long a socket may accept no byte at all before its client is disconnected.
pub const NO_PROGRESS: Duration = Duration::from_secs(5);

/// How long a client may take to accept what is left, and the goodbye, when its outbox has ended.
const LINGER: Duration = Duration::from_secs(1);

/// The maximum number of slices in one vectored write.
const SLICES: usize = 64;

/// The batches that one client still has to receive, and the policy for slow consumers.
///
/// - *Ready*: the socket accepts bytes. The writer takes one batch at a time from its outbox.
/// - *Stalled*: the socket is full. The batch waits, and the client's room with it, until the
///   socket has accepted it, or until the stall has lasted as long as the budget allows. A new stall begins after each
///   64 KiB.
/// - *Lagging*: the stall was too long. The writer takes every batch at once: it keeps unicast ones,
///   and it drops and counts the lines of the room. The count goes to the client where the
///   lines are missing: before the next unicast batch, or when the socket has accepted everything else. The
///   writer is ready again when nothing is left to write.
#[derive(Debug)]
pub struct Writer {
    id: Id,
    state: State,
    /// The batches that the socket has not accepted completely.
    queue: VecDeque<Arc<Batch>>,
    /// How many bytes of the first batch are written or hidden.
    at: usize,
    /// How many lines were dropped since the last count in `queue`.
    missed: usize,
    /// What was left of the stall budget when the last stall ended.
    budget: Duration,
    /// When the last stall ended. The budget is refilled from here.
    last_stall: Instant,
    /// When the socket last accepted a byte, or when the stall began.
    progress: Instant,
    /// How many bytes it has accepted during the stall.
    accepted: usize,
    /// When to give up, once the outbox has ended.
    closing: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Ready,
    Stalled(Instant),
    Lagging,
}

impl Writer {
    /// A writer for `id` that is ready.
    pub fn new(id: Id) -> Self {
        let now = Instant::now();
        Self {
            id,
            state: State::Ready,
            queue: VecDeque::new(),
            at: 0,
            missed: 0,
            budget: STALL_BUDGET,
            last_stall: now,
            progress: now,
            accepted: 0,
            closing: None,
        }
    }

    /// Whether to take the next batch from the outbox. A stalled writer leaves it there.
    pub fn accepts(&self) -> bool {
        self.closing.is_none() && !matches!(self.state, State::Stalled(_))
    }

    /// Whether to wait until the socket is writable.
    pub fn is_blocked(&self) -> bool {
        self.state != State::Ready
    }

    /// Whether everything is written, the goodbye included.
    pub fn is_done(&self) -> bool {
        self.closing.is_some() && self.queue.is_empty()
    }

    /// Takes a batch from the outbox.
    pub fn push(&mut self, batch: Arc<Batch>) {
        if self.state == State::Lagging && !batch.is_unicast() {
            self.missed += batch.lines_behind(self.id, 0);
            return;
        }
        self.push_missed();
        self.queue.push_back(batch);
    }

    /// Appends the goodbye, when the outbox has ended.
    pub fn close(&mut self) {
        self.push_missed();
        self.push_bytes(format!("{}\n", Line::Notice("goodbye")).into());
        self.closing = Some(Instant::now() + LINGER);
    }

    fn push_missed(&mut self) {
        if self.missed > 0 {
            self.push_bytes(self.missed_line());
            self.missed = 0;
        }
    }

    fn missed_line(&self) -> Vec<u8> {
        let missed = format!("missed {} lines", self.missed);
        format!("{}\n", Line::Error(&missed)).into()
    }

    fn push_bytes(&mut self, bytes: Vec<u8>) {
        self.queue.push_back(Arc::new(Batch::unicast(bytes, None)));
    }

    /// Writes to `sink` until everything is written, or until the sink refuses with `WouldBlock`.
    /// The sink returns how many bytes it accepted.
    ///
    /// # Errors
    ///
    /// Any other error of the sink.
    pub fn write(
        &mut self,
        mut sink: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        loop {
            let written = if let Some(batch) = self.queue.front() {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let ranges = batch.visible(self.id, self.at);
                let filled = slices.iter_mut().zip(ranges).map(|(slice, range)| {
                    *slice = IoSlice::new(&batch.bytes()[range]);
                });
                match filled.count() {
                    0 => Ok(0),
                    n => sink(&slices[..n]),
                }
            } else if self.missed > 0 {
                // More lines may be dropped until the sink accepts the count, so each attempt
                // renders it anew.
                let written = sink(&[IoSlice::new(&self.missed_line())]);
                if written.is_ok() {
                    self.push_missed();
                }
                written
            } else {
                self.unblock();
                // Frees the capacity that a burst needed.
                self.queue = VecDeque::new();
                return Ok(());
            };
            match written {
                Ok(n) => self.advance(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.block();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves the position behind the next `n` visible bytes, and drops the batch if it is written.
    fn advance(&mut self, mut n: usize) {
        if n > 0 && self.is_blocked() {
            self.progress = Instant::now();
            self.accepted += n;
            if self.accepted >= STALL_BYTES && self.state != State::Lagging {
                self.unblock();
                self.block();
            }
        }
        let Some(batch) = self.queue.front() else { return };
        for range in batch.visible(self.id, self.at) {
            self.at = range.start + n.min(range.len());
            if n < range.len() {
                return;
            }
            n -= range.len();
        }
        self.queue.pop_front();
        self.at = 0;
    }

    fn block(&mut self) {
        if self.state == State::Ready {
            let now = Instant::now();
            let regained = (now - self.last_stall) / REFILL;
            self.budget = STALL_BUDGET.min(self.budget + regained);
            self.progress = now;
            self.accepted = 0;
            self.state = State::Stalled(now);
        }
    }

    fn unblock(&mut self) {
        if let State::Stalled(since) = self.state {
            let cost = since.elapsed().saturating_sub(FREE_STALL);
            self.budget = self.budget.saturating_sub(cost);
        }
        if self.is_blocked() {
            self.last_stall = Instant::now();
        }
        self.state = State::Ready;
    }

    /// When to call [`on_deadline`](Self::on_deadline), unless the sink accepts everything before.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.closing) {
            (State::Ready, _) => None,
            (_, Some(closing)) => Some(closing),
            // A short stall is free even if nothing is left of the budget.
            (State::Stalled(since), None) => Some(since + self.budget.max(FREE_STALL)),
            (State::Lagging, None) => Some(self.progress + NO_PROGRESS),
        }
    }

    /// Makes a stalled client lag, if the deadline has passed. Returns `false` if the client has to
    /// be disconnected: it has accepted nothing for [`NO_PROGRESS`], or it is too late for the
    /// goodbye.
    pub fn on_deadline(&mut self) -> bool {
        if self.deadline().is_none_or(|deadline| Instant::now() < deadline) {
            return true;
        }
        if self.state == State::Lagging || self.closing.is_some() {
            return false;
        }
        self.state = State::Lagging;
        self.budget = Duration::ZERO;
        if self.queue.front().is_some_and(|batch| !batch.is_unicast())
            && let Some(batch) = self.queue.pop_front()
        {
            // Complete the line that is partly written. The lines behind it are missed.
            let end = batch.line_end(self.at);
            self.missed += batch.lines_behind(self.id, end);
            if end > self.at {
                self.push_bytes(batch.bytes()[self.at..end].to_vec());
            }
            self.at = 0;
        }
        true
    }
}
