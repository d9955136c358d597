//! Who is here, and who gets what.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    sync::Arc,
};

use common::{Input, Line, LineError};
use crossbeam_channel::{Receiver, Sender, TrySendError, never, select};

use crate::session::STUCK;

/// Tells participants apart; never used twice.
pub type Id = u64;

/// Who sits at the server's console.
pub const OPERATOR: Id = 0;

/// How many events may wait for the hub before readers have to. Not more: whatever waits here is
/// said before what somebody says next.
pub(crate) const EVENTS: usize = 32;

/// How many bytes of lines go to an outbox at once; the last line may exceed it.
const PARCEL: usize = 16 * 1024;

/// What the hub is told.
#[derive(Debug)]
pub enum Event {
    /// Somebody is here.
    Joined(Id, Peer),
    /// Somebody typed these lines: those of one read. After `Left`, they are ignored.
    Heard(Id, Vec<Result<String, LineError>>),
    /// Somebody is gone. Repeated, it is ignored.
    Left(Id),
}

/// What the hub holds of a client. Dropping it lets the client go.
#[derive(Debug)]
pub struct Peer {
    /// One reference for each client that is here, so that they can be counted.
    pub seat: Arc<()>,
    /// The only sender of what the client reads: whole lines, several at once in a busy room.
    pub outbox: Sender<Arc<str>>,
}

/// The name by which others know a participant.
pub fn name(id: Id) -> String {
    match id {
        OPERATOR => "server".into(),
        id => format!("client-{id}"),
    }
}

/// Serves until the operator leaves or `shutdown` closes. Dropping the hub, when this returns, ends
/// every outbox.
pub fn run(
    mut hub: Hub,
    events: &Receiver<Event>,
    mut typed: Receiver<Result<String, LineError>>,
    shutdown: Receiver<Infallible>,
) {
    while hub.open {
        select! {
            recv(events) -> event => match event {
                Ok(event) => hub.handle(event),
                Err(_) => return,
            },
            recv(typed) -> line => match line {
                Ok(line) => hub.hear(OPERATOR, line),
                // A closed channel is always ready: this loop would spin.
                Err(_) => typed = never(),
            },
            recv(shutdown) -> _ => return,
        }
        // What is queued already is delivered with it: the busier the room, the larger the batch.
        for _ in 0..EVENTS {
            let Ok(event) = events.try_recv() else {
                break;
            };
            hub.handle(event);
        }
        hub.deliver();
    }
}

/// Who is here, who gets what, and what is due.
#[derive(Debug)]
pub struct Hub {
    open: bool,
    here: BTreeSet<Id>,
    peers: BTreeMap<Id, Peer>,
    screen: Screen,
    due: VecDeque<Due>,
}

/// What `handle` has decided and `deliver` carries out, in this order.
#[derive(Debug)]
enum Due {
    Enter(Id, Peer),
    Lines(To, String),
    Leave(Id),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    One(Id),
    AllBut(Id),
}

impl To {
    fn includes(self, id: Id) -> bool {
        match self {
            Self::One(one) => id == one,
            Self::AllBut(author) => id != author,
        }
    }
}

impl Hub {
    /// A hub with nobody but the operator, who reads `screen`.
    pub fn new(screen: Sender<Arc<str>>) -> Self {
        Self {
            open: true,
            here: BTreeSet::from([OPERATOR]),
            peers: BTreeMap::new(),
            screen: Screen::new(screen),
            due: VecDeque::new(),
        }
    }

    /// Decides who is here and what is due. Waits for nobody.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, peer) => self.join(id, peer),
            Event::Heard(id, lines) => {
                for line in lines {
                    self.hear(id, line);
                }
            }
            Event::Left(id) => self.leave(id),
        }
    }

    fn join(&mut self, id: Id, peer: Peer) {
        let name = name(id);
        self.here.insert(id);
        self.due.push_back(Due::Enter(id, peer));
        self.tell(To::One(id), Line::Notice(&format!("you are {name}")));
        self.tell(To::AllBut(id), Line::Notice(&format!("{name} joined")));
    }

    fn hear(&mut self, id: Id, line: Result<String, LineError>) {
        if !self.here.contains(&id) {
            return;
        }
        let error = match &line {
            Ok(line) => match Input::parse(line) {
                Input::Exit => return self.leave(id),
                Input::Blank => return,
                Input::Text(text) => {
                    let name = &name(id);
                    return self.tell(To::AllBut(id), Line::Said { name, text });
                }
                Input::Command { .. } => format!("unknown command: {line}"),
            },
            Err(error) => error.to_string(),
        };
        self.tell(To::One(id), Line::Error(&error));
    }

    fn leave(&mut self, id: Id) {
        if !self.here.remove(&id) {
            return;
        }
        self.due.push_back(Due::Leave(id));
        if id == OPERATOR {
            self.open = false;
        } else {
            let left = format!("{} left", name(id));
            self.tell(To::AllBut(id), Line::Notice(&left));
        }
    }

    fn tell(&mut self, to: To, line: Line<'_>) {
        match self.due.back_mut() {
            Some(Due::Lines(last, lines)) if *last == to && lines.len() < PARCEL => {
                *lines += &format!("{line}\n");
            }
            _ => self.due.push_back(Due::Lines(to, format!("{line}\n"))),
        }
    }

    /// Carries out what is due: the one place where the hub waits.
    fn deliver(&mut self) {
        while let Some(due) = self.due.pop_front() {
            match due {
                Due::Enter(id, peer) => drop(self.peers.insert(id, peer)),
                Due::Lines(to, lines) => self.send(to, lines.into()),
                Due::Leave(id) => drop(self.peers.remove(&id)),
            }
        }
    }

    /// Waits while an outbox is full, which its writer ends within [`STUCK`], by taking lines or by
    /// giving up.
    fn send(&mut self, to: To, lines: Arc<str>) {
        let mut gone = Vec::new();
        for (&id, peer) in self.peers.iter().filter(|(id, _)| to.includes(**id)) {
            let sent = match peer.outbox.try_send(lines.clone()) {
                Err(TrySendError::Full(lines)) => peer.outbox.send(lines).is_ok(),
                sent => sent.is_ok(),
            };
            if !sent {
                gone.push(id);
            }
        }
        if to.includes(OPERATOR) {
            self.screen.show(lines);
        }
        for id in gone {
            self.leave(id);
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
    fn show(&mut self, lines: Arc<str>) {
        if self.stuck && !self.outbox.is_empty() {
            return;
        }
        self.stuck = match self.outbox.try_send(lines) {
            Err(TrySendError::Full(lines)) => self.outbox.send_timeout(lines, STUCK).is_err(),
            sent => sent.is_err(),
        };
    }
}
