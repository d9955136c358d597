//! Compares the hub and its writers with a model that has no batches, channels, permits or clocks.
//!
//! The scripts are random. In them, clients stop reading in the middle of a line, change rooms
//! while they lag, and continue to read.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::pending;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use step5_broadcast::batch::{Batch, Id, OPERATOR};
use step5_broadcast::hub::{self, Event, Hub, Inbox};
use step5_broadcast::writer::Writer;
use tokio::runtime::Builder;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

const HISTORY: usize = 3;

/// Longer than joins and leaves are coalesced, than several clients in turn need to use up their
/// stall budgets, and than a budget needs to be full again.
const LONG: Duration = Duration::from_secs(10);

/// More than a script uses, so that no client waits for a permit.
const PERMITS: usize = 1000;

#[derive(Debug, Clone)]
enum Act {
    Join,
    Send(usize, &'static str),
    Me(usize),
    Nick(usize, &'static str),
    Go(usize, &'static str),
    Message(usize, usize),
    Who(usize),
    Leave(usize),
    /// The client reads this many more bytes, and then stops reading.
    Pause(usize, usize),
    /// The client continues to read.
    Resume(usize),
    /// Time passes without input.
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    let client = || 0..5_usize;
    let names = || prop_oneof![Just("ann"), Just("Ann"), Just("bob"), Just("server")];
    let rooms = prop_oneof![Just("lobby"), Just("rust"), Just("Go")];
    let texts = prop_oneof![Just("hello"), Just("//x"), Just("  ")];
    prop_oneof![
        3 => Just(Act::Join),
        6 => (client(), texts).prop_map(|(client, text)| Act::Send(client, text)),
        1 => client().prop_map(Act::Me),
        2 => (client(), names()).prop_map(|(client, name)| Act::Nick(client, name)),
        3 => (client(), rooms).prop_map(|(client, room)| Act::Go(client, room)),
        2 => (client(), client()).prop_map(|(client, to)| Act::Message(client, to)),
        1 => client().prop_map(Act::Who),
        1 => client().prop_map(Act::Leave),
        3 => (client(), 0..60_usize).prop_map(|(client, bytes)| Act::Pause(client, bytes)),
        2 => client().prop_map(Act::Resume),
        3 => Just(Act::Wait),
    ]
}

/// A client in the model.
#[derive(Debug, Default)]
struct Client {
    connected: bool,
    name: String,
    room: String,
    /// The number of bytes that the client still reads, if it is paused.
    paused: Option<usize>,
    missed: usize,
    received: Vec<String>,
}

impl Client {
    /// Receives a line of the room. The client misses it if it does not read its first byte.
    fn receive(&mut self, line: &str) {
        match &mut self.paused {
            Some(0) => self.missed += 1,
            _ => self.take(line),
        }
    }

    /// Receives a line for this client alone. It comes after the number of missed lines.
    fn receive_private(&mut self, line: &str) {
        self.receive_missed_count();
        self.take(line);
    }

    fn take(&mut self, line: &str) {
        if let Some(bytes) = &mut self.paused {
            *bytes = bytes.saturating_sub(line.len() + 1);
        }
        self.received.push(line.into());
    }

    fn receive_missed_count(&mut self) {
        if self.missed > 0 {
            let line = format!("! missed {} lines", self.missed);
            self.missed = 0;
            self.take(&line);
        }
    }
}

#[derive(Debug, Default)]
struct Room {
    name: String,
    joined: Vec<(usize, String)>,
    left: Vec<(usize, String)>,
    history: VecDeque<String>,
}

/// The expected lines of every client, computed act by act.
#[derive(Debug, Default)]
struct Model {
    clients: Vec<Client>,
    rooms: BTreeMap<String, Room>,
}

impl Model {
    fn is_connected(&self, client: usize) -> bool {
        self.clients.get(client).is_some_and(|client| client.connected)
    }

    fn broadcast(&mut self, room: &str, hidden_from: &[usize], line: &str) {
        for (n, client) in self.clients.iter_mut().enumerate() {
            if client.connected && client.room == room && !hidden_from.contains(&n) {
                client.receive(line);
            }
        }
    }

    fn flush_notices(&mut self, key: &str) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let joined = std::mem::take(&mut room.joined);
        let left = std::mem::take(&mut room.left);
        let list = |names: Vec<&str>| match names.len() {
            0..=8 => names.join(", "),
            n => format!("{} and {} more", names[..8].join(", "), n - 8),
        };
        if !joined.is_empty() {
            let names = list(joined.iter().map(|(_, name)| name.as_str()).collect());
            let ids: Vec<_> = joined.iter().map(|(n, _)| *n).collect();
            self.broadcast(key, &ids, &format!("* {names} joined"));
        }
        if !left.is_empty() {
            let names = list(left.iter().map(|(_, name)| name.as_str()).collect());
            self.broadcast(key, &[], &format!("* {names} left"));
        }
    }

    fn send_to_room(&mut self, client: usize, line: String, remembered: bool) {
        let room = self.clients[client].room.clone();
        self.broadcast(&room, &[client], &line);
        let history = &mut self.rooms.get_mut(&room).expect("a room").history;
        if remembered {
            history.push_back(line);
            if history.len() > HISTORY {
                history.pop_front();
            }
        }
    }

    fn enter(&mut self, n: usize, name: &str) {
        let key = name.to_lowercase();
        let room = self.rooms.entry(key.clone()).or_default();
        if room.name.is_empty() {
            room.name = name.into();
        }
        let own = self.clients[n].name.clone();
        if room.left.iter().any(|left| left.0 == n || left.1.eq_ignore_ascii_case(&own)) {
            self.flush_notices(&key);
        }
        let room = self.rooms.get_mut(&key).expect("a room");
        room.joined.push((n, own));
        let client = &mut self.clients[n];
        client.room = key;
        client.receive_private(&format!("* you are in {}", room.name));
        room.history.iter().for_each(|line| client.receive_private(line));
    }

    fn exit(&mut self, n: usize) {
        let key = std::mem::take(&mut self.clients[n].room);
        let name = self.clients[n].name.clone();
        self.rooms.get_mut(&key).expect("a room").left.push((n, name));
        // The lobby is never empty, because the operator is in it.
        if key != "lobby" && !self.clients.iter().any(|client| client.room == key) {
            self.rooms.remove(&key);
        }
    }

    fn play(&mut self, act: &Act) {
        if let Some((client, _)) = line(act, &self.clients) {
            let room = self.clients[client].room.clone();
            self.flush_notices(&room);
        }
        match *act {
            Act::Join => {
                let n = self.clients.len();
                let name = format!("guest-{}", n + 1);
                let mut client = Client::default();
                client.receive_private(&format!("* you are {name}"));
                client.name = name;
                client.connected = true;
                self.clients.push(client);
                self.enter(n, "lobby");
            }
            Act::Send(_, "  ") => {}
            Act::Send(client, text) => {
                let name = &self.clients[client].name;
                let line = format!("{name}: {}", text.replace("//", "/"));
                self.send_to_room(client, line, true);
            }
            Act::Me(client) => {
                let line = format!("** {} waves", self.clients[client].name);
                self.send_to_room(client, line, true);
            }
            Act::Nick(client, new) => self.nick(client, new),
            Act::Go(client, name) if self.clients[client].room == name.to_lowercase() => {
                let line = format!("! you are in {name} already");
                self.clients[client].receive_private(&line);
            }
            Act::Go(client, name) => {
                self.exit(client);
                self.enter(client, name);
            }
            Act::Message(client, to) => {
                let sender = self.clients[client].name.clone();
                let addressee = self.clients[to].name.clone();
                self.clients[to].receive_private(&format!("{sender} (private): psst"));
                self.clients[client].receive_private(&format!("* to {addressee}: psst"));
            }
            Act::Who(client) => self.list_members(client),
            Act::Leave(client) => {
                self.exit(client);
                self.disconnect(client);
            }
            Act::Pause(client, bytes) => {
                self.clients[client].paused.get_or_insert(bytes);
            }
            Act::Resume(client) => {
                self.clients[client].paused = None;
                self.clients[client].receive_missed_count();
            }
            Act::Wait => {
                let keys: Vec<_> = self.rooms.keys().cloned().collect();
                keys.iter().for_each(|key| self.flush_notices(key));
            }
        }
    }

    fn nick(&mut self, n: usize, new: &str) {
        let old = self.clients[n].name.clone();
        let taken = |(other, client): (usize, &Client)| {
            client.connected && other != n && client.name.eq_ignore_ascii_case(new)
        };
        let error = if new == "server" {
            "server is reserved".into()
        } else if self.clients.iter().enumerate().any(taken) {
            format!("{new} is taken")
        } else if old == new {
            format!("you are {new} already")
        } else {
            self.send_to_room(n, format!("* {old} is now {new}"), false);
            self.clients[n].name = new.into();
            return self.clients[n].receive_private(&format!("* you are {new}"));
        };
        self.clients[n].receive_private(&format!("! {error}"));
    }

    fn list_members(&mut self, n: usize) {
        let room = &self.clients[n].room;
        let mut names = vec!["server"];
        names.retain(|_| room == "lobby");
        let members = self.clients.iter();
        let members = members.filter(|client| client.connected && client.room == *room);
        names.extend(members.map(|client| client.name.as_str()));
        let (count, names) = (names.len(), names.join(", "));
        let line = format!("* {count} in {}: {names}", self.rooms[room].name);
        self.clients[n].receive_private(&line);
    }

    fn disconnect(&mut self, n: usize) {
        let client = &mut self.clients[n];
        client.connected = false;
        client.receive_private("* goodbye");
    }
}

/// The line that a client sends for an act.
fn line(act: &Act, clients: &[Client]) -> Option<(usize, String)> {
    Some(match *act {
        Act::Send(client, text) => (client, text.into()),
        Act::Me(client) => (client, "/me waves".into()),
        Act::Nick(client, name) => (client, format!("/nick {name}")),
        Act::Go(client, room) => (client, format!("/join {room}")),
        Act::Message(client, to) => (client, format!("/msg {} psst", clients.get(to)?.name)),
        Act::Who(client) => (client, "/who".into()),
        Act::Leave(client) => (client, "/exit".into()),
        _ => return None,
    })
}

/// A session without a socket. `limits` sets how many more bytes the client reads.
async fn session(
    id: Id,
    mut outbox: UnboundedReceiver<Arc<Batch>>,
    mut limits: UnboundedReceiver<Option<usize>>,
) -> Vec<String> {
    let (mut writer, mut received) = (Writer::new(id), Vec::new());
    let mut limit = None;
    let mut deadlines = true;
    while !writer.is_done() {
        let deadline = writer.deadline().filter(|_| deadlines);
        select! {
            // A new limit applies to batches that were sent after it, so it comes first.
            biased;
            Some(new) = limits.recv() => (limit, deadlines) = (new, true),
            batch = outbox.recv(), if writer.accepts() => match batch {
                Some(batch) => writer.push(batch),
                None => writer.close(),
            },
            () = async { match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            } } => {
                // A real session may disconnect the client now. This one waits for the script.
                deadlines = writer.on_deadline();
            }
        }
        let sink = |slices: &[IoSlice<'_>]| {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let n = limit.unwrap_or(usize::MAX).min(bytes.len());
            if n == 0 && !bytes.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            limit = limit.map(|limit| limit - n);
            received.extend(&bytes[..n]);
            Ok(n)
        };
        writer.write(sink).expect("no other error");
    }
    let text = String::from_utf8(received).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

struct Real {
    events: Sender<Event>,
    shutdown: Sender<Infallible>,
    hub: JoinHandle<()>,
    sessions: Vec<JoinHandle<Vec<String>>>,
    limits: Vec<UnboundedSender<Option<usize>>>,
    permits: Arc<Semaphore>,
}

impl Real {
    fn start() -> Self {
        let (events, inbox) = channel(64);
        let (shutdown, on_shutdown) = channel(1);
        // The operator's outbox has no reader.
        let (operator, _) = unbounded_channel();
        let mut inbox = Inbox { events: inbox, shutdown: on_shutdown };
        let hub = Hub::new(operator, HISTORY);
        Self {
            events,
            shutdown,
            hub: tokio::spawn(async move { hub::run(hub, &mut inbox).await }),
            sessions: Vec::new(),
            limits: Vec::new(),
            permits: Arc::new(Semaphore::new(PERMITS)),
        }
    }

    async fn join(&mut self) {
        let id = self.sessions.len() as Id + OPERATOR + 1;
        let (sender, outbox) = unbounded_channel();
        let (limit, limits) = unbounded_channel();
        self.send(Event::Joined(id, sender)).await;
        self.sessions.push(tokio::spawn(session(id, outbox, limits)));
        self.limits.push(limit);
    }

    async fn receive(&self, client: usize, line: String) {
        let permit = self.permits.clone().try_acquire_owned();
        let permit = Arc::new(permit.expect("more permits than a script uses"));
        let id = client as Id + OPERATOR + 1;
        self.send(Event::Received(id, vec![Ok(line)], permit)).await;
    }

    async fn send(&self, event: Event) {
        self.events.send(event).await.expect("a hub");
    }

    /// Ends the server. Returns the lines that each client has received.
    async fn end(self) -> Vec<Vec<String>> {
        drop(self.shutdown);
        self.hub.await.expect("no panic");
        let mut received = Vec::new();
        for (session, limit) in self.sessions.into_iter().zip(self.limits) {
            // Fails if the session has ended.
            let _ = limit.send(None);
            received.push(session.await.expect("no panic"));
        }
        assert_eq!(self.permits.available_permits(), PERMITS, "permits are lost");
        received
    }
}

async fn play(script: &[Act]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let mut real = Real::start();
    let mut model = Model::default();
    let name = "lobby".to_owned();
    model.rooms.entry("lobby".into()).or_default().name = name;
    for act in script {
        let actors = match *act {
            Act::Join | Act::Wait => vec![],
            Act::Pause(client, _) | Act::Resume(client) => vec![client],
            Act::Message(client, to) => vec![client, to],
            _ => line(act, &model.clients).into_iter().map(|(client, _)| client).collect(),
        };
        if !actors.iter().all(|actor| model.is_connected(*actor)) {
            continue;
        }
        match *act {
            Act::Join => real.join().await,
            Act::Wait => sleep(LONG).await,
            Act::Pause(client, bytes) => {
                // Lets the client receive everything so far, and the stall budget refill.
                sleep(LONG).await;
                model.play(&Act::Wait);
                if model.clients[client].paused.is_none() {
                    real.limits[client].send(Some(bytes)).expect("a session");
                }
            }
            Act::Resume(client) => {
                // A client that is stalled uses up its stall budget and lags.
                sleep(LONG).await;
                model.play(&Act::Wait);
                real.limits[client].send(None).expect("a session");
                sleep(LONG).await;
            }
            _ => {
                let (client, line) = line(act, &model.clients).expect("something to send");
                real.receive(client, line).await;
            }
        }
        model.play(act);
    }
    // A client that is stalled uses up its stall budget and lags.
    sleep(LONG).await;
    model.play(&Act::Wait);
    for client in 0..model.clients.len() {
        if model.is_connected(client) {
            model.disconnect(client);
        }
    }
    let received = real.end().await;
    let expected = model.clients.into_iter().map(|client| client.received);
    (received, expected.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_client_receives_what_the_model_predicts(script in vec(act(), 1..60)) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let (received, expected) = runtime.expect("a runtime").block_on(play(&script));
        prop_assert_eq!(received, expected);
    }
}
