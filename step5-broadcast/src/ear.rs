//! What a client says: read when the hub has room for it, and passed on at the rate allowed.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    mem,
    time::Duration,
};

use common::{Input, LineDecoder, LineError, MAX_TEXT};
use tokio::{
    net::TcpStream,
    sync::mpsc::Sender,
    time::{Instant, sleep_until},
};

use crate::hub::{Event, Heard, Id};

/// How much is read at once. Not more, since short lines grow when they get a name.
pub(crate) const READ: usize = 8 * 1024;

/// How many lines a second a client may say in the long run, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// 0 for no limit.
    pub lines: u32,
    /// What somebody silent may say at once.
    pub burst: u32,
}

/// What becomes of the bytes that are read.
#[derive(Debug)]
pub(crate) struct Ear {
    decoder: LineDecoder,
    /// Lines that were read and may not be said yet. Until they are, nothing more is read.
    waiting: VecDeque<Result<String, LineError>>,
    /// How many questions were asked. The next is heard when all are answered.
    pub(crate) asked: u64,
    /// Whether nothing more will be read, and whether nothing more will be said.
    closed: bool,
    pub(crate) ended: bool,
    pub(crate) flood: bool,
    rate: Rate,
    /// When all that was said would have been said at the rate.
    paid: Instant,
}

impl Ear {
    /// Nothing heard yet.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            decoder: LineDecoder::new(MAX_TEXT),
            waiting: VecDeque::new(),
            asked: 0,
            closed: false,
            ended: false,
            flood: false,
            rate,
            paid: Instant::now(),
        }
    }

    /// Tells the hub what the client says, once. Given up while it waits, it has lost nothing.
    pub(crate) async fn hear(
        &mut self,
        id: Id,
        stream: &TcpStream,
        events: &Sender<Event>,
    ) -> io::Result<()> {
        match self.waiting.is_empty() {
            true => stream.readable().await?,
            false => {
                if let Some(until) = self.silent_until() {
                    Box::pin(sleep_until(until)).await;
                }
            }
        }
        // Fails if the server ends, which closes the mailbox.
        let Ok(place) = events.reserve().await else {
            self.ended = true;
            return Ok(());
        };
        if self.waiting.is_empty() {
            match self.read(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                read => read?,
            }
        }
        if let Some(heard) = self.say() {
            place.send(Event::Heard(id, heard));
        }
        Ok(())
    }

    /// Reads once, with a buffer that does not live in a future.
    fn read(&mut self, stream: &TcpStream) -> io::Result<()> {
        let mut buf = [0; READ];
        let n = stream.try_read(&mut buf)?;
        match n {
            0 => self.waiting.extend(self.decoder.finish()),
            n => self.waiting.extend(self.decoder.feed(&buf[..n])),
        }
        self.flood = self.waiting.back() == Some(&Err(LineError::Flood));
        self.closed = n == 0 || self.flood;
        Ok(())
    }

    /// Takes the lines that may be said now, if there are any, or if there will be no more.
    fn say(&mut self) -> Option<Heard> {
        let lines = match self.allowed() {
            n if n >= self.waiting.len() => mem::take(&mut self.waiting).into(),
            n => self.waiting.drain(..n).collect::<Vec<_>>(),
        };
        let asks = lines.iter().any(|line| match line {
            Ok(line) => matches!(Input::parse(line), Input::Command { .. }),
            Err(_) => true,
        });
        self.asked += u64::from(asks);
        if self.rate.lines > 0 {
            self.paid = self.paid.max(Instant::now()) + self.cost() * lines.len() as u32;
        }
        self.ended = self.closed && self.waiting.is_empty();
        let last = self.ended;
        (last || !lines.is_empty()).then_some(Heard { lines, asks, last })
    }

    /// What a line costs.
    fn cost(&self) -> Duration {
        Duration::from_secs(1) / self.rate.lines
    }

    /// How many lines may be said now.
    fn allowed(&self) -> usize {
        if self.rate.lines == 0 {
            return usize::MAX;
        }
        let spent = self.paid.saturating_duration_since(Instant::now());
        let left = (self.cost() * self.rate.burst).saturating_sub(spent);
        (left.as_nanos() / self.cost().as_nanos().max(1)) as usize
    }

    /// When a line may be said, if that is not now.
    fn silent_until(&self) -> Option<Instant> {
        if self.allowed() > 0 {
            return None;
        }
        self.paid
            .checked_sub(self.cost() * self.rate.burst.saturating_sub(1))
    }
}
