//! What one participant reads, in order: its room's lines, and between them what is for it alone.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    ops::Range,
    sync::Arc,
};

use common::Line;
use tokio::{
    select,
    sync::{
        broadcast::{self, error::RecvError},
        mpsc::{self, error::TryRecvError},
    },
};

use crate::{
    batch::Batch,
    hub::Id,
    mail::{Course, Entry, MAILBOX, Mail},
};

/// How many pieces are written at once. Only who speaks reads a room in pieces.
const PIECES: usize = 64;

/// The next line of somebody who is in no room.
const NOWHERE: u64 = u64::MAX;

/// A reader's place in its room and its mailbox.
#[derive(Debug)]
pub(crate) struct Feed {
    id: Id,
    mailbox: mpsc::Receiver<Box<Mail>>,
    open: bool,
    /// Mails that are not to be read yet.
    mails: VecDeque<Box<Mail>>,
    ring: Option<broadcast::Receiver<Arc<Batch>>>,
    /// The number of the next line to be read, and how many lines before it were its own.
    next: u64,
    own: u64,
    batch: Option<Arc<Batch>>,
    /// The lines before this one are in `parts`, as far as they are to be read.
    upto: u64,
    parts: VecDeque<Range<usize>>,
    /// Read before `parts`.
    text: Vec<u8>,
    /// Whether it let its room go, and has not asked for the way back.
    pub(crate) behind: bool,
    /// How many questions were answered.
    pub(crate) answers: u64,
}

impl Feed {
    /// A reader in no room, to whom only `mailbox` leads.
    pub(crate) fn new(id: Id, mailbox: mpsc::Receiver<Box<Mail>>) -> Self {
        Self {
            id,
            mailbox,
            open: true,
            mails: VecDeque::new(),
            ring: None,
            next: NOWHERE,
            own: 0,
            batch: None,
            upto: 0,
            parts: VecDeque::new(),
            text: Vec::new(),
            behind: false,
            answers: 0,
        }
    }

    /// Waits for something to read, or, while nothing can be read, for something to put off. What
    /// comes is kept, if the wait is given up.
    ///
    /// # Errors
    ///
    /// More than a mailbox holds was put off.
    pub(crate) async fn wait(&mut self, blocked: bool) -> io::Result<()> {
        match blocked {
            true => self.put_off().await,
            false => {
                self.more().await;
                Ok(())
            }
        }
    }

    async fn more(&mut self) {
        let (reads, expects) = (self.ring.is_some(), self.open && self.mails.is_empty());
        let ring = async {
            match &mut self.ring {
                Some(ring) => ring.recv().await,
                None => std::future::pending().await,
            }
        };
        select! {
            batch = ring, if reads => match batch {
                Ok(batch) => self.batch = Some(batch),
                Err(RecvError::Closed) => self.ring = None,
                // Places are fewer than the ring is long.
                Err(RecvError::Lagged(_)) => self.let_go(),
            },
            mail = self.mailbox.recv(), if expects => match mail {
                None => self.open = false,
                Some(mail) => self.mails.push_back(mail),
            },
        }
    }

    /// Lets a room that a mail leads to go at once: it would wait for a reader who is not there.
    async fn put_off(&mut self) -> io::Result<()> {
        if !self.open {
            return std::future::pending().await;
        }
        match self.mailbox.recv().await {
            None => self.open = false,
            Some(_) if self.mails.len() >= MAILBOX => {
                return Err(io::Error::other("too much to read"));
            }
            Some(mut mail) => {
                if let Course::Enter(entry) = &mut mail.course {
                    entry.ring = None;
                }
                self.mails.push_back(mail);
            }
        }
        Ok(())
    }

    /// Gives `sink` what there is to read, until it refuses with an error, or there is no more. It
    /// takes as many bytes as it says.
    pub(crate) fn advance(
        &mut self,
        mut sink: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        loop {
            while !self.text.is_empty() {
                let n = sink(&[IoSlice::new(&self.text)])?;
                self.text.drain(..n);
            }
            // Room for a long answer is not kept.
            self.text = Vec::new();
            while let Some(batch) = &self.batch
                && !self.parts.is_empty()
            {
                let mut pieces = [IoSlice::new(&[]); PIECES];
                let parts = self.parts.iter().cloned();
                for (piece, part) in pieces.iter_mut().zip(parts) {
                    *piece = IoSlice::new(&batch.bytes()[part]);
                }
                let n = sink(&pieces[..self.parts.len().min(PIECES)])?;
                self.take(n);
            }
            if !self.turn() {
                return Ok(());
            }
        }
    }

    /// Strikes `n` bytes off `parts`.
    fn take(&mut self, mut n: usize) {
        while let Some(part) = self.parts.front_mut() {
            let taken = n.min(part.len());
            part.start += taken;
            n -= taken;
            if part.start < part.end {
                return;
            }
            self.parts.pop_front();
        }
    }

    /// Decides what comes next, when all before it is read; whether there is anything.
    fn turn(&mut self) -> bool {
        if self.mails.is_empty() && self.open {
            // The hub writes before the room speaks: what belongs before a batch is here already.
            match self.mailbox.try_recv() {
                Ok(mail) => self.mails.push_back(mail),
                // Room for many is not kept.
                Err(TryRecvError::Empty) => self.mails = VecDeque::new(),
                Err(TryRecvError::Disconnected) => self.open = false,
            }
        }
        if let Some(batch) = &self.batch {
            self.own += batch.own(self.id, self.next, self.upto);
            self.next = self.next.max(self.upto);
        }
        let after = match self.mails.front() {
            Some(mail) if self.ring.is_some() => mail.after,
            Some(_) => 0,
            None => NOWHERE,
        };
        if after <= self.next
            && let Some(mail) = self.mails.pop_front()
        {
            self.read(*mail);
            return true;
        }
        // The last reader of a batch gives its place back.
        self.batch.take_if(|batch| batch.end() <= self.next);
        let Some(batch) = &self.batch else {
            return false;
        };
        self.upto = batch.end().min(after);
        self.parts
            .extend(batch.parts(self.id, self.next, self.upto));
        true
    }

    fn read(&mut self, mail: Mail) {
        self.answers += u64::from(mail.answers);
        if mail.text.is_empty() && matches!(mail.course, Course::Stay) {
            return;
        }
        if self.ring.is_none() && self.next < mail.after {
            // Only who let its room go has lines between.
            let missed = (mail.after - self.next).saturating_sub(mail.own - self.own);
            if missed > 0 {
                let error = format!("missed {missed} lines");
                self.text
                    .extend(format!("{}\n", Line::Error(&error)).bytes());
            }
            self.next = mail.after;
        }
        self.own = mail.own;
        self.text.extend(mail.text.bytes());
        let (ring, next) = match mail.course {
            Course::Stay => return,
            Course::Leave => (None, NOWHERE),
            Course::Enter(Entry { ring, from }) => (ring, from),
        };
        self.behind = ring.is_none() && next != NOWHERE;
        self.ring = ring;
        (self.next, self.upto) = (next, next);
        self.batch = None;
    }

    /// Whether the room waits for this reader.
    pub(crate) fn holds(&self) -> bool {
        self.ring.is_some()
    }

    /// Lets the room go, except for the line begun: what it says is counted as missed.
    pub(crate) fn let_go(&mut self) {
        self.ring = None;
        self.behind = true;
        let Some(batch) = self.batch.take() else {
            return;
        };
        if let Some(Range { start, .. }) = self.parts.front() {
            let rest = &batch.bytes()[*start..];
            let mut end = *start;
            if *start > 0 && batch.bytes()[start - 1] != b'\n' {
                let line = rest.split_inclusive(|byte| *byte == b'\n').next();
                let line = line.unwrap_or_default();
                self.text.extend(line);
                end += line.len();
            }
            let next = batch.line_at(end);
            self.own += batch.own(self.id, self.next, next);
            self.next = next;
        }
        self.parts.clear();
    }

    /// Whether everything is read, and nothing will come.
    pub(crate) fn ended(&self) -> bool {
        !self.open
            && self.mails.is_empty()
            && self.ring.is_none()
            && self.batch.is_none()
            && self.text.is_empty()
    }
}
