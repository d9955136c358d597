//! The hub: the actor that owns the members and the rooms.

use std::{collections::HashMap, sync::Arc};

use common::{Input, Line, LineError};
use tokio::{
    select,
    sync::{
        Notify, Semaphore,
        mpsc::{Receiver, UnboundedSender},
    },
};
use tracing::info;

use crate::{
    batch::{Outgoing, Permit, Text},
    name::{self, GUEST, OPERATOR_NAME},
    rooms::{LOBBY, RoomId, Rooms},
    signals::Shutdown,
    timer::expiry,
};

/// A unique id of a member, never reused.
pub type Id = u64;

/// The id of the operator, the member at the server's console.
pub const OPERATOR: Id = 0;

/// The capacity of the event queue. Keep it small: a new line has to wait behind everything that
/// is queued here.
pub(crate) const EVENTS: usize = 32;

/// How many bytes of private messages may wait for a client. Then senders get an error.
const MESSAGES: usize = 64 * 1024;

/// The sender of an outbox. The channel has no capacity of its own: what the hub sends into it is
/// bounded by the permits that the items hold, so the hub never waits.
pub type Outbox = UnboundedSender<Outgoing>;

/// A message to the hub.
#[derive(Debug)]
pub enum Event {
    /// A client has connected. The hub holds the only sender of its outbox: dropping it disconnects
    /// the client.
    Joined(Id, Outbox),
    /// The lines of one read, with their permit. The hub ignores them after `Left`.
    Received(Id, Vec<Result<String, LineError>>, Permit),
    /// A client is gone. The hub ignores repetitions.
    Left(Id),
}

/// Everything that the hub waits for from outside.
#[derive(Debug)]
pub struct Inbox {
    /// From the sessions. Closed when the last session and the accept loop have ended.
    pub events: Receiver<Event>,
    /// Closed when the server has to end.
    pub shutdown: Shutdown,
}

/// Runs the hub until the operator leaves or `shutdown` closes. Dropping the hub, when this
/// returns, ends every outbox.
pub async fn run(mut hub: Hub, inbox: &mut Inbox) {
    while hub.open {
        select! {
            event = inbox.events.recv() => match event {
                Some(event) => hub.handle(event),
                None => return,
            },
            () = expiry(hub.rooms.next_notice()) => hub.flush_due_notices(),
            // A room's batch is with all members: the room can send its next one.
            () = hub.batch_done.notified() => {}
            _ = inbox.shutdown.recv() => break,
        }
        // Take what is queued already: the busier the room, the larger the batches.
        for _ in 0..EVENTS {
            let Ok(event) = inbox.events.try_recv() else {
                break;
            };
            hub.handle(event);
        }
        hub.flush_ready_rooms();
    }
    // What was said before the end arrives before the goodbye.
    hub.flush_all_rooms();
}

/// The members, their names, and the rooms. Nothing in here waits.
#[derive(Debug)]
pub struct Hub {
    open: bool,
    /// All connected members; `rooms` knows which of them is in which room.
    pub(crate) members: HashMap<Id, Member>,
    /// The owner of each name, by the key of the name.
    pub(crate) names: HashMap<String, Id>,
    pub(crate) rooms: Rooms,
    batch_done: Arc<Notify>,
}

/// A member as the hub knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) room: RoomId,
    pub(crate) outbox: Outbox,
    /// One permit for each byte of private messages that may wait for this member.
    pub(crate) messages: Arc<Semaphore>,
}

impl Hub {
    /// A hub whose only member is the operator, with its outbox. Rooms remember the last `history`
    /// lines said.
    pub fn new(operator: Outbox, history: usize) -> Self {
        let batch_done = Arc::new(Notify::new());
        let mut hub = Self {
            open: true,
            members: HashMap::new(),
            names: HashMap::new(),
            rooms: Rooms::new(history, batch_done.clone()),
            batch_done,
        };
        hub.add(OPERATOR, OPERATOR_NAME.into(), operator);
        hub.rooms.get_mut(LOBBY).members.insert(OPERATOR);
        hub
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, outbox) => self.join(id, outbox),
            Event::Received(id, lines, permit) => self.receive(id, lines, &permit),
            Event::Left(id) => self.leave(id, None),
        }
    }

    fn join(&mut self, id: Id, outbox: Outbox) {
        let name = format!("{GUEST}{id}");
        let greeting = format!("{}\n", Line::Notice(&format!("you are {name}"))).into_bytes();
        self.add(id, name, outbox);
        self.enter(id, LOBBY, greeting, None);
    }

    fn add(&mut self, id: Id, name: String, outbox: Outbox) {
        info!(id, name, "joined");
        self.names.insert(name::key(&name), id);
        let member = Member {
            name,
            room: LOBBY,
            outbox,
            messages: Arc::new(Semaphore::new(MESSAGES)),
        };
        self.members.insert(id, member);
    }

    fn receive(&mut self, id: Id, lines: Vec<Result<String, LineError>>, permit: &Permit) {
        for line in lines {
            let Some(member) = self.members.get(&id).filter(|_| self.open) else {
                return;
            };
            // Others learn of a newcomer before they receive anything from it.
            self.rooms.flush_notices(member.room);
            let result = match &line {
                Ok(line) => self.obey(id, line, permit),
                Err(error) => Err(error.to_string()),
            };
            if let Err(reason) = result {
                self.send_line(id, Line::Error(&reason), permit);
            }
        }
    }

    fn obey(&mut self, id: Id, line: &str, permit: &Permit) -> Result<(), String> {
        match Input::parse(line) {
            Input::Exit => self.leave(id, Some(permit)),
            Input::Blank => {}
            Input::Text(text) => self.say(id, text, permit, |name, text| Line::Said { name, text }),
            Input::Command { name, arg } => return self.command(id, name, arg, line, permit),
        }
        Ok(())
    }

    fn leave(&mut self, id: Id, permit: Option<&Permit>) {
        if id == OPERATOR {
            self.open = false;
            return;
        }
        self.exit(id, permit);
        if let Some(member) = self.members.remove(&id) {
            info!(id, name = member.name, "left");
            self.names.remove(&name::key(&member.name));
        }
    }

    /// Sends a line to the other members of the room.
    pub(crate) fn say(
        &mut self,
        id: Id,
        text: &str,
        permit: &Permit,
        line: for<'a> fn(&'a str, &'a str) -> Line<'a>,
    ) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let room = member.room;
        if self.rooms.say(room, id, line(&member.name, text), permit) {
            self.flush(room);
        }
    }

    /// Moves a member into a room: `text`, where it is and the history, then all that follows.
    pub(crate) fn enter(
        &mut self,
        id: Id,
        room: RoomId,
        mut text: Vec<u8>,
        permit: Option<Permit>,
    ) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.room = room;
        let name = member.name.clone();
        // A leave notice of the same name comes before this join.
        if self.rooms.get_mut(room).notices.has_left(&name) {
            self.rooms.flush_notices(room);
        }
        self.flush(room);
        self.rooms.get_mut(room).write_welcome(&mut text);
        self.send(id, text, permit.clone());
        self.rooms.enter(room, id, name, permit);
    }

    /// Takes a member out of its room; it has received everything up to here.
    pub(crate) fn exit(&mut self, id: Id, permit: Option<&Permit>) {
        if let Some(member) = self.members.get(&id) {
            let (room, name) = (member.room, member.name.clone());
            self.flush(room);
            self.rooms.exit(room, id, name, permit.cloned());
        }
    }

    /// Sends one line to one member.
    pub(crate) fn send_line(&mut self, id: Id, line: Line<'_>, permit: &Permit) {
        self.send(id, format!("{line}\n").into(), Some(permit.clone()));
    }

    /// Sends text to one member, behind everything that its room has said so far.
    pub(crate) fn send(&mut self, id: Id, lines: Vec<u8>, permit: Option<Permit>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        self.flush(member.room);
        if let Some(member) = self.members.get(&id) {
            let text = Box::new(Text { lines, permit });
            // Fails if the session has ended; its `Left` is on the way.
            let _ = member.outbox.send(Outgoing::Text(text));
        }
    }

    /// Sends what a room has said so far to all its members.
    fn flush(&mut self, room: RoomId) {
        let Some(batch) = self.rooms.take_batch(room) else {
            return;
        };
        for id in &self.rooms.get_mut(room).members {
            if let Some(member) = self.members.get(id) {
                // Fails if the session has ended; its `Left` is on the way.
                let _ = member.outbox.send(Outgoing::Batch(batch.clone()));
            }
        }
    }

    /// One batch of a room is in flight: while its members write it, the next one grows.
    fn flush_ready_rooms(&mut self) {
        for room in self.rooms.take_ready() {
            self.flush(room);
        }
    }

    fn flush_all_rooms(&mut self) {
        for room in self.rooms.ids() {
            self.rooms.flush_notices(room);
            self.flush(room);
        }
    }

    fn flush_due_notices(&mut self) {
        while let Some(room) = self.rooms.due_notice() {
            self.rooms.flush_notices(room);
        }
    }
}
