//! The writing half of a session: what to write next, and what to do with a slow consumer.
//!
//! Sans-IO: the session owns the socket, and tests use a sink of their own.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    sync::Arc,
    time::Duration,
};

use common::Line;
use tokio::time::Instant;

use crate::{
    batch::{Batch, Outgoing, Text},
    hub::Id,
};

/// How long a socket may refuse bytes at once before its client lags: its stall budget.
pub const STALL_BUDGET: Duration = Duration::from_millis(500);

/// Shorter stalls cost nothing: under heavy load every reader has them.
pub const FREE_STALL: Duration = Duration::from_millis(250);

/// The budget regains one part in this many of the time without stalls.
const REFILL: u32 = 16;

/// How long a socket may accept no byte at all before its client is disconnected.
pub const NO_PROGRESS: Duration = Duration::from_secs(5);

/// How long a client may take to accept what is left when its outbox has ended.
const LINGER: Duration = Duration::from_secs(1);

/// How many slices one write takes.
const SLICES: usize = 64;

/// The client accepted no bytes until the last deadline: disconnect it.
#[derive(Debug)]
pub struct TooSlow;

/// What one client has to be sent, and how far it got.
///
/// - *Ready*: the socket accepts bytes. The writer takes one item at a time from its outbox.
/// - *Stalled*: the socket refuses bytes. The item waits, and the client's room with it, until the
///   stall budget is spent.
/// - *Lagging*: the budget is spent. The writer takes every item at once: it keeps text, and it
///   drops and counts the lines of the room. When the socket has accepted the rest, the count goes
///   to the client, at the place of the gap, and the writer is ready again.
#[derive(Debug)]
pub struct Writer {
    id: Id,
    state: State,
    /// Written before `batch`.
    texts: VecDeque<Box<Text>>,
    /// How much of the first text is written.
    text_at: usize,
    /// The batch that is being written, and how far.
    batch: Option<(Arc<Batch>, usize)>,
    /// The lines dropped since the last text.
    missed: u64,
    budget: StallBudget,
    /// When the socket last accepted a byte, or began to refuse.
    progress: Instant,
    /// The last deadline, once the outbox has ended.
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
        Self {
            id,
            state: State::Ready,
            texts: VecDeque::new(),
            text_at: 0,
            batch: None,
            missed: 0,
            budget: StallBudget::new(),
            progress: Instant::now(),
            closing: None,
        }
    }

    /// Whether to take the next item from the outbox.
    pub fn accepts(&self) -> bool {
        match self.state {
            State::Ready | State::Lagging => self.closing.is_none(),
            State::Stalled(_) => false,
        }
    }

    /// Whether to wait until the socket is writable.
    pub fn is_blocked(&self) -> bool {
        self.state != State::Ready
    }

    /// Whether everything is written, the goodbye included.
    pub fn is_done(&self) -> bool {
        self.closing.is_some() && self.texts.is_empty() && self.batch.is_none()
    }

    /// Takes an item from the outbox.
    pub fn push(&mut self, item: Outgoing) {
        match item {
            Outgoing::Batch(batch) if self.state == State::Lagging => {
                self.missed += batch.lines_behind(self.id, 0);
            }
            Outgoing::Batch(batch) => self.batch = Some((batch, 0)),
            Outgoing::Text(text) => {
                self.push_missed();
                self.texts.push_back(text);
            }
        }
    }

    /// The outbox has ended: what is left to write is the goodbye.
    pub fn close(&mut self) {
        self.push_missed();
        self.push_lines(format!("{}\n", Line::Notice("goodbye")).into());
        self.closing = Some(Instant::now() + LINGER);
    }

    fn push_missed(&mut self) {
        if self.missed > 0 {
            let lines = self.missed_line();
            self.push_lines(lines);
            self.missed = 0;
        }
    }

    fn missed_line(&self) -> Vec<u8> {
        let missed = format!("missed {} lines", self.missed);
        format!("{}\n", Line::Error(&missed)).into()
    }

    fn push_lines(&mut self, lines: Vec<u8>) {
        let permit = None;
        self.texts.push_back(Box::new(Text { lines, permit }));
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
            let written = if let Some(text) = self.texts.front() {
                sink(&[IoSlice::new(&text.lines[self.text_at..])])
            } else if let Some((batch, at)) = &self.batch {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let ranges = batch.visible(self.id, *at);
                let n = slices.iter_mut().zip(ranges).map(|(slice, range)| {
                    *slice = IoSlice::new(&batch.bytes()[range]);
                });
                match n.count() {
                    0 => Ok(0),
                    n => sink(&slices[..n]),
                }
            } else if self.missed > 0 {
                // The count goes on until the sink accepts it.
                let written = sink(&[IoSlice::new(&self.missed_line())]);
                if written.is_ok() {
                    self.push_missed();
                }
                written
            } else {
                self.unblock();
                return Ok(());
            };
            match written {
                Ok(n) => self.advance(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.block();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves the position behind `n` bytes. What is written as a whole is dropped.
    fn advance(&mut self, mut n: usize) {
        if n > 0 {
            self.progress = Instant::now();
        }
        if let Some(text) = self.texts.front() {
            self.text_at += n;
            if self.text_at == text.lines.len() {
                self.texts.pop_front();
                self.text_at = 0;
            }
            return;
        }
        let Some((batch, at)) = &mut self.batch else {
            return;
        };
        for range in batch.visible(self.id, *at) {
            if n < range.len() {
                *at = range.start + n;
                return;
            }
            n -= range.len();
            *at = range.end;
        }
        self.batch = None;
    }

    fn block(&mut self) {
        if self.state == State::Ready {
            let now = Instant::now();
            self.budget.refill(now);
            self.progress = now;
            self.state = State::Stalled(now);
        }
    }

    fn unblock(&mut self) {
        if let State::Stalled(since) = self.state {
            self.budget.spend(since.elapsed());
        }
        // Capacity for a burst is not kept.
        self.texts = VecDeque::new();
        self.state = State::Ready;
    }

    /// When to call [`on_deadline`](Self::on_deadline), unless the sink accepts everything before.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.closing) {
            (State::Ready, _) => None,
            (_, Some(closing)) => Some(closing),
            (State::Stalled(since), None) => Some(since + self.budget.allowed()),
            (State::Lagging, None) => Some(self.progress + NO_PROGRESS),
        }
    }

    /// Makes a stalled client lag. Does nothing before the deadline.
    ///
    /// # Errors
    ///
    /// [`TooSlow`] if the client lags already and has accepted nothing for [`NO_PROGRESS`].
    pub fn on_deadline(&mut self) -> Result<(), TooSlow> {
        if self
            .deadline()
            .is_none_or(|deadline| Instant::now() < deadline)
        {
            return Ok(());
        }
        if self.state == State::Lagging || self.closing.is_some() {
            return Err(TooSlow);
        }
        self.budget.spend(STALL_BUDGET);
        self.state = State::Lagging;
        self.drop_batch();
        Ok(())
    }

    /// Keeps the rest of the line that is partly written, and counts the lines behind it.
    fn drop_batch(&mut self) {
        let Some((batch, at)) = self.batch.take() else {
            return;
        };
        let end = batch.line_end(at);
        if end > at {
            self.push_lines(batch.bytes()[at..end].to_vec());
        }
        self.missed += batch.lines_behind(self.id, end);
    }
}

/// The time that a client may hold up its room.
#[derive(Debug)]
struct StallBudget {
    left: Duration,
    refilled: Instant,
}

impl StallBudget {
    fn new() -> Self {
        Self {
            left: STALL_BUDGET,
            refilled: Instant::now(),
        }
    }

    fn refill(&mut self, now: Instant) {
        let regained = (now - self.refilled) / REFILL;
        self.left = STALL_BUDGET.min(self.left + regained);
        self.refilled = now;
    }

    /// How long a stall may last: a short one is free even if nothing is left.
    fn allowed(&self) -> Duration {
        self.left.max(FREE_STALL)
    }

    fn spend(&mut self, stall: Duration) {
        if stall >= FREE_STALL {
            self.left = self.left.saturating_sub(stall);
        }
        self.refilled = Instant::now();
    }
}
