//! Who is here, where, and under which name.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use common::{Input, Line, LineError};
use tokio::{
    select,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{Receiver, Sender},
    },
    time::{Instant, sleep_until},
};
use tracing::info;

use crate::{
    mail::{Course, Mail},
    members::Member,
    name::{self, GUEST, OPERATOR_NAME},
    rooms::{LOBBY, Rooms},
};

/// Tells participants apart; never used twice.
pub type Id = u64;

/// Who sits at the server's console.
pub const OPERATOR: Id = 0;

/// How many events may wait for the hub before sessions have to, and how many it takes at once.
pub(crate) const EVENTS: usize = 64;

/// What the hub is told.
#[derive(Debug)]
pub enum Event {
    /// Somebody is here.
    Joined(Id, Peer),
    /// Somebody typed lines. After `Left`, they are ignored.
    Heard(Id, Heard),
    /// Somebody who let his room go reads again.
    Back(Id),
    /// Somebody is gone. Repeated, it is ignored.
    Left(Id),
}

/// The lines of one read.
#[derive(Debug)]
pub struct Heard {
    /// In order.
    pub lines: Vec<Result<String, LineError>>,
    /// Whether any of them asks: then exactly one mail completes the answer.
    pub asks: bool,
    /// Whether nothing more will be heard.
    pub last: bool,
}

/// What the hub holds of a participant. Dropping it lets the participant go.
#[derive(Debug)]
pub struct Peer {
    /// One reference for each client that is here, so that they can be counted.
    pub seat: Arc<()>,
    /// The only sender of what is for this participant alone. It is boxed, since channels allocate
    /// room for many at once.
    pub(crate) mailbox: Sender<Box<Mail>>,
}

/// Serves until the operator leaves or `shutdown` closes. Dropping the hub, when this returns, ends
/// every mailbox and every ring.
///
/// It takes a place before it collects events, and what it then publishes carries the place along
/// until the last session has passed it on. So an idle room speaks at once, a busy one in larger
/// batches, and no room is ever further ahead of a reader than there are places.
pub async fn run(
    mut hub: Hub,
    events: &mut Receiver<Event>,
    mut typed: Receiver<Result<String, LineError>>,
    mut shutdown: Receiver<Infallible>,
    places: Arc<Semaphore>,
) {
    let mut collected = Vec::with_capacity(EVENTS);
    'open: while hub.open {
        let Some(mut place) = next_place(&places, &mut shutdown).await else {
            break;
        };
        let due = hub.rooms.notice_due();
        select! {
            n = events.recv_many(&mut collected, EVENTS) => if n == 0 { break },
            // A closed channel is always ready: with this pattern its branch is out.
            Some(line) = typed.recv() => hub.handle(Event::Heard(OPERATOR, Heard {
                lines: vec![line],
                asks: true,
                last: false,
            })),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => hub.settle_due(),
            _ = shutdown.recv() => break,
        }
        for event in collected.drain(..) {
            hub.handle(event);
            if hub.rooms.full {
                hub.rooms.publish(Some(place));
                let Some(next) = next_place(&places, &mut shutdown).await else {
                    break 'open;
                };
                place = next;
            }
        }
        hub.rooms.publish(Some(place));
    }
    // What was said before the end is read before the goodbye.
    hub.rooms.publish(None);
}

/// The right to publish, or `None` if the server ends.
async fn next_place(
    places: &Arc<Semaphore>,
    shutdown: &mut Receiver<Infallible>,
) -> Option<Arc<OwnedSemaphorePermit>> {
    select! {
        place = places.clone().acquire_owned() => place.ok().map(Arc::new),
        _ = shutdown.recv() => None,
    }
}

/// Who is here, and under which name. Where, its rooms know.
#[derive(Debug)]
pub struct Hub {
    open: bool,
    pub(crate) members: HashMap<Id, Member>,
    pub(crate) names: HashMap<String, Id>,
    pub(crate) rooms: Rooms,
    /// Who is heard, what it is answered, and how much that is so far.
    pub(crate) asking: Option<Id>,
    pub(crate) answer: String,
    pub(crate) answered: usize,
}

impl Hub {
    /// A hub with a lobby, and in it the operator. Rooms remember the last `history` lines said.
    pub fn new(operator: Peer, history: usize) -> Self {
        let mut hub = Self {
            open: true,
            members: HashMap::new(),
            names: HashMap::new(),
            rooms: Rooms::new(history),
            asking: None,
            answer: String::new(),
            answered: 0,
        };
        hub.add(OPERATOR, OPERATOR_NAME.into(), operator);
        hub.rooms.get_mut(LOBBY).members.insert(OPERATOR);
        hub.admit(OPERATOR, String::new());
        hub
    }

    /// Decides who is here and what is said. Waits for nobody.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, peer) => self.join(id, peer),
            Event::Heard(id, heard) => self.hear(id, heard),
            // Whoever is about to enter a room will be told how to read it.
            Event::Back(id) if self.members.get(&id).is_some_and(|member| member.reads) => {
                self.admit(id, String::new());
            }
            Event::Back(_) => {}
            Event::Left(id) => self.leave(id),
        }
    }

    fn join(&mut self, id: Id, peer: Peer) {
        let name = format!("{GUEST}{id}");
        let text = format!("{}\n", Line::Notice(&format!("you are {name}")));
        self.add(id, name, peer);
        self.post(id, text, Course::Stay, false);
        self.enter(id, LOBBY);
    }

    fn add(&mut self, id: Id, name: String, peer: Peer) {
        info!(id, name, "joined");
        self.names.insert(name::key(&name), id);
        let member = Member {
            name,
            room: LOBBY,
            reads: false,
            kept: String::new(),
            answered: false,
            own: 0,
            peer,
        };
        self.members.insert(id, member);
    }

    fn hear(&mut self, id: Id, heard: Heard) {
        self.asking = self.members.contains_key(&id).then_some(id);
        self.answered = 0;
        for line in heard.lines {
            if self.asking.is_none() {
                break;
            }
            let done = match &line {
                Ok(line) => self.obey(id, line),
                Err(error) => Err(error.to_string()),
            };
            if let Err(reason) = done {
                self.answer(Line::Error(&reason));
            }
        }
        if heard.asks {
            self.mail(id, String::new(), Course::Stay, true);
        }
        self.answer.clear();
        if heard.last {
            self.leave(id);
        }
    }

    fn obey(&mut self, id: Id, line: &str) -> Result<(), String> {
        match Input::parse(line) {
            Input::Exit => self.leave(id),
            Input::Blank => {}
            Input::Text(text) => self.say(id, text, |name, text| Line::Said { name, text }),
            Input::Command { name, arg } => return self.command(id, name, arg, line),
        }
        Ok(())
    }

    fn leave(&mut self, id: Id) {
        self.exit(id);
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        self.asking.take_if(|asking| *asking == id);
        info!(id, name = member.name, "left");
        self.names.remove(&name::key(&member.name));
        self.open &= id != OPERATOR;
    }
}
