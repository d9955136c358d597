//! The hub: the actor that owns the members and the rooms.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use common::{Input, Line, LineError};
use tokio::select;
use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use tracing::info;

use crate::batch::{Batch, Id, OPERATOR, Permit};
use crate::envelope::Incoming;
use crate::name::{self, GUEST, OPERATOR_NAME};
use crate::nodes::Cluster;
use crate::room::{LOBBY, Room, RoomId};
use crate::signals::Shutdown;
use crate::timer::expiry;

/// The capacity of the event queue. Keep it small: a new line has to wait behind everything that
/// is queued here.
pub(crate) const EVENTS: usize = 32;

/// How many bytes of private messages may wait for a client. If they are more, the sender gets an
/// error.
const UNREAD: usize = 64 * 1024;

/// The sender of an outbox. The channel is unbounded, so the hub never waits for it. The permits
/// that the batches hold bound what is in it; joins and leaves without a permit are coalesced.
pub type Outbox = UnboundedSender<Arc<Batch>>;

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
    /// What the relay delivers.
    Relay(Incoming),
}

/// Everything that the hub waits for from outside.
#[derive(Debug)]
pub struct Inbox {
    /// From the sessions and the relay. Closed when the sessions, the operator, the accept loop and the
    /// relay have ended.
    pub events: Receiver<Event>,
    /// Closed when the server has to end.
    pub shutdown: Shutdown,
}

/// Runs the hub until the operator leaves or `shutdown` closes. Dropping the hub, when this
/// returns, ends every outbox.
pub async fn run(mut hub: Hub, inbox: &mut Inbox) {
    while hub.open {
        // The branches that lose are dropped. A `recv` that is dropped has taken no message, so
        // nothing is lost: it is cancel-safe. A `Notify` keeps what comes between two waits.
        select! {
            event = inbox.events.recv() => match event {
                Some(event) => hub.handle(event),
                None => return,
            },
            // A notice is due: `flush_rooms` below sends it.
            () = expiry(hub.notice_due()) => {}
            // A room's batch is done: `flush_rooms` below sends its next one.
            () = hub.batch_done.notified() => {}
            _ = inbox.shutdown.recv() => break,
        }
        // The readers go first: what has arrived by now joins the next batch.
        yield_now().await;
        // Take what is queued already, but no more: a flood must not postpone the rest. The busier
        // the room, the larger the batches.
        for _ in 0..EVENTS {
            let Ok(event) = inbox.events.try_recv() else { break };
            hub.handle(event);
        }
        hub.flush_rooms();
    }
    // What was said before the end arrives before the goodbye.
    for room in hub.unflushed.clone() {
        hub.announce(room);
        hub.flush(room);
    }
    hub.publish_end();
}

/// The members, their names, and the rooms. Nothing in here waits.
#[derive(Debug)]
pub struct Hub {
    open: bool,
    /// All connected members. `Room::members` says which of them is in which room.
    pub(crate) members: HashMap<Id, Member>,
    /// The owner of each name, by the key of the name.
    pub(crate) names: HashMap<String, Id>,
    pub(crate) rooms: HashMap<RoomId, Room>,
    /// The id of each room, by the key of its name.
    pub(crate) room_ids: BTreeMap<String, RoomId>,
    pub(crate) next_room: RoomId,
    /// The rooms with lines to send, or with a pending notice.
    pub(crate) unflushed: BTreeSet<RoomId>,
    /// How many lines a room remembers.
    pub(crate) history: usize,
    /// Lines for one member that are not sent yet, with the member and their permit.
    pub(crate) unicast: Option<(Id, Vec<u8>, Option<Permit>)>,
    /// Notified when all recipients of a batch have dropped it.
    pub(crate) batch_done: Arc<Notify>,
    /// This node, and what it knows of the others.
    pub(crate) cluster: Cluster,
}

/// A member as the hub knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) room: RoomId,
    pub(crate) outbox: Outbox,
    /// A permit for each byte of private messages that may still wait for this member.
    pub(crate) unread: Arc<Semaphore>,
}

impl Hub {
    /// A hub with an empty lobby, or with the operator in it. Rooms remember the last `history`
    /// lines said.
    pub(crate) fn new(operator: Option<Outbox>, history: usize, cluster: Cluster) -> Self {
        let mut hub = Self {
            open: true,
            members: HashMap::new(),
            names: HashMap::new(),
            rooms: HashMap::new(),
            room_ids: BTreeMap::new(),
            next_room: LOBBY,
            unflushed: BTreeSet::new(),
            history,
            unicast: None,
            batch_done: Arc::default(),
            cluster,
        };
        hub.open_room("lobby");
        if let Some(operator) = operator {
            hub.add(OPERATOR, OPERATOR_NAME.into(), operator);
            hub.room(LOBBY).members.insert(OPERATOR);
        }
        hub
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Joined(id, outbox) => self.join(id, outbox),
            Event::Received(id, lines, permit) => self.receive(id, lines, &permit),
            Event::Left(id) => self.leave(id, None),
            Event::Relay(incoming) => self.handle_relay(incoming),
        }
        self.flush_unicast();
    }

    fn join(&mut self, id: Id, outbox: Outbox) {
        let name = format!("{GUEST}{id}");
        let greeting = format!("{}\n", Line::Notice(&format!("you are {name}"))).into_bytes();
        self.add(id, name, outbox);
        self.enter_room(id, LOBBY, greeting, None);
    }

    fn add(&mut self, id: Id, name: String, outbox: Outbox) {
        info!(id, name, "joined");
        self.names.insert(name::key(&name), id);
        let member = Member { name, room: LOBBY, outbox, unread: Arc::new(Semaphore::new(UNREAD)) };
        self.members.insert(id, member);
    }

    fn receive(&mut self, id: Id, lines: Vec<Result<String, LineError>>, permit: &Permit) {
        for line in lines {
            let Some(member) = self.members.get(&id).filter(|_| self.open) else { return };
            // Others learn of a newcomer before they receive anything from it.
            let room = member.room;
            self.announce(room);
            let reply = match &line {
                Ok(line) => self.execute(id, line, permit),
                Err(error) => Err(error.to_string()),
            };
            let reply = match &reply {
                Ok(notice) => notice.as_deref().map(Line::Notice),
                Err(reason) => Some(Line::Error(reason)),
            };
            if let Some(reply) = reply {
                let line = format!("{reply}\n").into();
                self.send_to(id, line, Some(permit.clone()));
            }
        }
    }

    fn execute(&mut self, id: Id, line: &str, permit: &Permit) -> Result<Option<String>, String> {
        match Input::parse(line) {
            Input::Exit => self.leave(id, Some(permit)),
            Input::Blank => {}
            Input::Text(text) => {
                self.broadcast(id, text, permit, |name, text| Line::Said { name, text })
            }
            Input::Command { name, arg } => return self.command(id, (name, arg), line, permit),
        }
        Ok(None)
    }

    fn leave(&mut self, id: Id, permit: Option<&Permit>) {
        if id == OPERATOR {
            self.open = false;
            return;
        }
        self.leave_room(id, permit);
        self.flush_unicast();
        if let Some(member) = self.members.remove(&id) {
            info!(id, name = member.name, "left");
            self.names.remove(&name::key(&member.name));
        }
    }
}
