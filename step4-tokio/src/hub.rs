//! The hub: the actor that owns the room.

use std::collections::{BTreeMap, BTreeSet};

use common::{Input, Line, LineError};
use tokio::select;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::batch::{Audience, Batch, Delivery, Id, OPERATOR, Pending};
use crate::operator::Output;
use crate::signals::{Shutdown, requested};

/// The capacity of the event queue. Keep it small: a new line has to wait behind everything that
/// is queued here.
pub(crate) const EVENTS: usize = 32;

/// A message to the hub.
#[derive(Debug)]
pub enum Event {
    /// A client has connected. The hub holds the only sender of its outbox: dropping it disconnects
    /// the client.
    Joined(Id, Sender<Batch>),
    /// The lines of one read. The hub ignores them after `Left`.
    Received(Id, Vec<Result<String, LineError>>),
    /// A client is gone. The hub ignores repetitions.
    Left(Id),
}

/// Everything that the hub waits for from outside.
#[derive(Debug)]
pub struct Inbox {
    /// From the sessions. Closed when the last session and the accept loop have ended.
    pub events: Receiver<Event>,
    /// What the operator types. Closed at EOF.
    pub typed: Receiver<Result<String, LineError>>,
    /// Closed when the server has to end.
    pub shutdown: Shutdown,
}

/// The name of a member.
pub fn name(id: Id) -> String {
    match id {
        OPERATOR => "server".into(),
        id => format!("client-{id}"),
    }
}

/// Runs the hub until the operator leaves or `shutdown` closes. Dropping the hub, when this
/// returns, ends every outbox.
pub async fn run(mut hub: Hub, inbox: &mut Inbox) {
    while hub.open {
        // The branches that lose are dropped. A `recv` that is dropped has taken no message, so
        // nothing is lost: it is cancel-safe.
        select! {
            event = inbox.events.recv() => match event {
                Some(event) => hub.handle(event),
                None => return,
            },
            // At EOF the pattern does not match, which disables this branch for this turn.
            Some(line) = inbox.typed.recv() => hub.receive(OPERATOR, line),
            _ = inbox.shutdown.recv() => return,
        }
        // Take what is queued already, but no more: a flood must not postpone `deliver`. The
        // busier the room, the larger the batches.
        for _ in 0..EVENTS {
            let Ok(event) = inbox.events.try_recv() else { break };
            hub.handle(event);
        }
        hub.deliver(&inbox.shutdown).await;
    }
}

/// The members and what they will receive. `handle` decides and never waits; `deliver` waits.
#[derive(Debug)]
pub struct Hub {
    open: bool,
    /// The members after all events so far: `handle` decides by it.
    members: BTreeSet<Id>,
    /// The outboxes after all deliveries so far. It lags behind `members` while `pending` has
    /// entries, so that every client joins and leaves between the right two batches.
    outboxes: BTreeMap<Id, Sender<Batch>>,
    operator: Output,
    pending: Pending,
}

impl Hub {
    /// A hub whose only member is the operator, with its outbox.
    pub fn new(operator: Sender<Batch>) -> Self {
        Self {
            open: true,
            members: BTreeSet::from([OPERATOR]),
            outboxes: BTreeMap::new(),
            operator: Output::new(operator),
            pending: Pending::default(),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, outbox) => self.join(id, outbox),
            Event::Received(id, lines) => {
                for line in lines {
                    self.receive(id, line);
                }
            }
            Event::Left(id) => self.leave(id),
        }
    }

    fn join(&mut self, id: Id, outbox: Sender<Batch>) {
        let name = name(id);
        self.members.insert(id);
        self.pending.push(Delivery::Join(id, outbox));
        self.pending.push_line(Audience::Only(id), Line::Notice(&format!("you are {name}")));
        self.pending.push_line(Audience::AllBut(id), Line::Notice(&format!("{name} joined")));
    }

    fn receive(&mut self, id: Id, line: Result<String, LineError>) {
        if !self.members.contains(&id) {
            return;
        }
        let error = match &line {
            Ok(line) => match Input::parse(line) {
                Input::Exit => return self.leave(id),
                Input::Blank => return,
                Input::Text(text) => {
                    let name = &name(id);
                    return self.pending.push_line(Audience::AllBut(id), Line::Said { name, text });
                }
                Input::Command { .. } => format!("unknown command: {line}"),
            },
            Err(error) => error.to_string(),
        };
        self.pending.push_line(Audience::Only(id), Line::Error(&error));
    }

    fn leave(&mut self, id: Id) {
        if !self.members.remove(&id) {
            return;
        }
        self.pending.push(Delivery::Leave(id));
        if id == OPERATOR {
            self.open = false;
        } else {
            let left = format!("{} left", name(id));
            self.pending.push_line(Audience::AllBut(id), Line::Notice(&left));
        }
    }

    /// Carries out all decisions: the only place where the hub waits for a client.
    async fn deliver(&mut self, shutdown: &Shutdown) {
        while let Some(delivery) = self.pending.pop() {
            // Slow clients must not delay the end of the server.
            if requested(shutdown) {
                return;
            }
            match delivery {
                Delivery::Join(id, outbox) => drop(self.outboxes.insert(id, outbox)),
                Delivery::Lines(to, lines) => self.deliver_batch(to, lines.into()).await,
                Delivery::Leave(id) => drop(self.outboxes.remove(&id)),
            }
        }
    }

    /// Waits while an outbox is full. Its writer ends the wait: it takes a batch, or it drops its
    /// receiver at its deadline.
    async fn deliver_batch(&mut self, to: Audience, batch: Batch) {
        let mut gone = Vec::new();
        for (&id, outbox) in self.outboxes.iter().filter(|(id, _)| to.includes(**id)) {
            // `try_send` first: an outbox is rarely full. On Tokio, each awaited `send` counts against
            // the task's budget (cooperative scheduling), so the hub would yield in the middle of a
            // delivery. On threads, `send` alone would do.
            let sent = match outbox.try_send(batch.clone()) {
                Err(TrySendError::Full(batch)) => outbox.send(batch).await.is_ok(),
                sent => sent.is_ok(),
            };
            if !sent {
                gone.push(id);
            }
        }
        if to.includes(OPERATOR) {
            self.operator.send(batch).await;
        }
        for id in gone {
            self.leave(id);
        }
    }
}
