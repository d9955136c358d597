//! The hub and its readers against a model that knows no batches, rings, mailboxes or clocks.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use tokio::{
    runtime::Builder,
    select,
    sync::{
        Semaphore,
        mpsc::{Sender, UnboundedReceiver, channel, unbounded_channel},
    },
    time::sleep,
};

use crate::{
    feed::Feed,
    hub::{self, EVENTS, Event, Heard, Hub, Id, OPERATOR, Peer},
    mail::MAILBOX,
};

const HISTORY: usize = 3;

/// Longer than joins and leaves are gathered.
const LONG: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
enum Act {
    Join,
    Say(usize, &'static str),
    Me(usize),
    Nick(usize, &'static str),
    Go(usize, &'static str),
    Whisper(usize, usize),
    Who(usize),
    Leave(usize),
    /// Reads nothing for a while.
    LetGo(usize),
    Return(usize),
    /// Nothing happens for long.
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0..5_usize;
    let names = || prop_oneof![Just("ann"), Just("Ann"), Just("bob"), Just("server")];
    let rooms = prop_oneof![Just("lobby"), Just("rust"), Just("Go")];
    prop_oneof![
        3 => Just(Act::Join),
        6 => (who(), prop_oneof![Just("hello"), Just("//x"), Just("  ")]).prop_map(|(who, text)| Act::Say(who, text)),
        1 => who().prop_map(Act::Me),
        2 => (who(), names()).prop_map(|(who, name)| Act::Nick(who, name)),
        3 => (who(), rooms).prop_map(|(who, room)| Act::Go(who, room)),
        1 => (who(), who()).prop_map(|(who, to)| Act::Whisper(who, to)),
        1 => who().prop_map(Act::Who),
        1 => who().prop_map(Act::Leave),
        2 => who().prop_map(Act::LetGo),
        2 => who().prop_map(Act::Return),
        3 => Just(Act::Wait),
    ]
}

#[derive(Debug, Default)]
struct Person {
    name: String,
    room: String,
    /// Whether it reads its room, and what it will be told once it does.
    reads: bool,
    kept: Vec<String>,
    /// How many lines it has missed, while it is away.
    away: Option<usize>,
    read: Vec<String>,
}

impl Person {
    fn is_told(&mut self, line: impl Into<String>) {
        match self.reads {
            true => self.reads_now(line),
            false => self.kept.push(line.into()),
        }
    }

    fn reads_now(&mut self, line: impl Into<String>) {
        self.learns_what_it_missed();
        self.read.push(line.into());
    }

    fn learns_what_it_missed(&mut self) {
        if let Some(missed @ 1..) = self.away {
            self.read.push(format!("! missed {missed} lines"));
            self.away = Some(0);
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

/// What everybody has to read, decided one act after the other.
#[derive(Debug, Default)]
struct Model {
    people: Vec<Person>,
    here: Vec<bool>,
    rooms: BTreeMap<String, Room>,
}

impl Model {
    fn is_here(&self, who: usize) -> bool {
        self.here.get(who) == Some(&true)
    }

    fn tell(&mut self, room: &str, author: Option<usize>, line: &str) {
        for (who, person) in self.people.iter_mut().enumerate() {
            if self.here[who] && person.reads && person.room == room && Some(who) != author {
                match &mut person.away {
                    Some(missed) => *missed += 1,
                    None => person.read.push(line.into()),
                }
            }
        }
    }

    fn settle(&mut self, key: &str) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let (joined, left) = (
            std::mem::take(&mut room.joined),
            std::mem::take(&mut room.left),
        );
        let names = |names: Vec<&str>| match names.len() {
            0..=8 => names.join(", "),
            n => format!("{} and {} more", names[..8].join(", "), n - 8),
        };
        if !joined.is_empty() {
            let names = names(joined.iter().map(|(_, name)| name.as_str()).collect());
            self.tell(key, None, &format!("* {names} joined"));
        }
        if !left.is_empty() {
            let names = names(left.iter().map(|(_, name)| name.as_str()).collect());
            self.tell(key, None, &format!("* {names} left"));
        }
        for (who, _) in joined {
            let person = &mut self.people[who];
            if !self.here[who] || person.room != key || person.reads {
                continue;
            }
            person.reads_now(format!("* you are in {}", self.rooms[key].name));
            person.read.extend(self.rooms[key].history.iter().cloned());
            let kept = std::mem::take(&mut person.kept);
            person.read.extend(kept);
            person.reads = true;
        }
    }

    fn say(&mut self, who: usize, line: String, remembered: bool) {
        let room = self.people[who].room.clone();
        self.settle(&room);
        self.tell(&room, Some(who), &line);
        let history = &mut self.rooms.get_mut(&room).expect("a room").history;
        if remembered {
            history.push_back(line);
            if history.len() > HISTORY {
                history.pop_front();
            }
        }
    }

    fn enter(&mut self, who: usize, name: &str) {
        let key = name.to_lowercase();
        let room = self.rooms.entry(key.clone()).or_default();
        if room.name.is_empty() {
            room.name = name.into();
        }
        let person = self.people[who].name.clone();
        let back = |left: &(usize, String)| left.0 == who || left.1 == person;
        if room.left.iter().any(back) {
            self.settle(&key);
        }
        self.people[who].room = key.clone();
        let room = self.rooms.get_mut(&key).expect("a room");
        room.joined.push((who, person));
    }

    fn exit(&mut self, who: usize) {
        let person = &mut self.people[who];
        let kept = std::mem::take(&mut person.kept);
        person.learns_what_it_missed();
        person.read.extend(kept);
        person.reads = false;
        let (key, name) = (person.room.clone(), person.name.clone());
        self.rooms
            .get_mut(&key)
            .expect("a room")
            .left
            .push((who, name));
        self.people[who].room.clear();
        let empty = !self.people.iter().any(|person| person.room == key);
        // The operator is in the lobby.
        if empty && key != "lobby" {
            self.rooms.remove(&key);
        }
    }

    fn do_it(&mut self, act: &Act) {
        match *act {
            Act::Join => {
                let who = self.people.len();
                let name = format!("guest-{}", who + 1);
                let read = vec![format!("* you are {name}")];
                self.people.push(Person {
                    name,
                    read,
                    ..Person::default()
                });
                self.here.push(true);
                self.enter(who, "lobby");
            }
            Act::Say(_, "  ") => {}
            Act::Say(who, text) => {
                let name = &self.people[who].name;
                let line = format!("{name}: {}", text.replace("//", "/"));
                self.say(who, line, true);
            }
            Act::Me(who) => {
                let line = format!("** {} waves", self.people[who].name);
                self.say(who, line, true);
            }
            Act::Nick(who, new) => {
                let old = self.people[who].name.clone();
                let taken = |(other, person): (usize, &Person)| {
                    self.here[other] && other != who && person.name.eq_ignore_ascii_case(new)
                };
                if new == "server" {
                    self.people[who].is_told("! server is reserved");
                } else if self.people.iter().enumerate().any(taken) {
                    self.people[who].is_told(format!("! {new} is taken"));
                } else if old == new {
                    self.people[who].is_told(format!("! you are {new} already"));
                } else {
                    self.say(who, format!("* {old} is now {new}"), false);
                    self.people[who].name = new.into();
                    self.people[who].is_told(format!("* you are {new}"));
                }
            }
            Act::Go(who, name) if self.people[who].room == name.to_lowercase() => {
                self.people[who].is_told(format!("! you are in {name} already"));
            }
            Act::Go(who, name) => {
                // Before the old room is gone, as the hub does it.
                self.exit(who);
                self.enter(who, name);
            }
            Act::Whisper(who, to) => {
                let (from, name) = (self.people[who].name.clone(), self.people[to].name.clone());
                self.people[who].is_told(format!("* to {name}: psst"));
                self.people[to].is_told(format!("{from} (private): psst"));
            }
            Act::Who(who) => {
                let room = &self.people[who].room;
                let mut names = vec!["server"];
                names.retain(|_| room == "lobby");
                let here = self.people.iter().zip(&self.here);
                let here = here.filter(|(person, here)| **here && person.room == *room);
                names.extend(here.map(|(person, _)| person.name.as_str()));
                let line = format!(
                    "* {} in {}: {}",
                    names.len(),
                    self.rooms[room].name,
                    names.join(", ")
                );
                self.people[who].is_told(line);
            }
            Act::Leave(who) => {
                self.exit(who);
                self.here[who] = false;
            }
            Act::LetGo(who) => {
                let person = &mut self.people[who];
                person.away = person.away.or(Some(0));
            }
            Act::Return(who) => {
                self.people[who].learns_what_it_missed();
                self.people[who].away = None;
            }
            Act::Wait => {
                let keys: Vec<_> = self.rooms.keys().cloned().collect();
                keys.iter().for_each(|key| self.settle(key));
            }
        }
    }
}

/// A reader without a socket. What it is told through `pause` says whether it reads.
async fn read(
    mut feed: Feed,
    mut pause: UnboundedReceiver<bool>,
    events: Sender<Event>,
    id: Id,
) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut away = false;
    loop {
        if !away {
            let all = feed.advance(|pieces| {
                let before = bytes.len();
                pieces
                    .iter()
                    .for_each(|piece| bytes.extend_from_slice(piece));
                Ok(bytes.len() - before)
            });
            all.expect("memory takes everything");
            if feed.behind {
                feed.behind = false;
                // Fails when the hub has ended.
                let _ = events.send(Event::Back(id)).await;
            }
        }
        if feed.ended() {
            let text = String::from_utf8(bytes).expect("text");
            return text.lines().map(str::to_owned).collect();
        }
        select! {
            Some(paused) = pause.recv() => {
                away = paused;
                if paused {
                    feed.let_go();
                }
            }
            came = feed.wait(away) => came.expect("few mails"),
        }
    }
}

fn lines(act: &Act, people: &[Person]) -> Option<(usize, String)> {
    Some(match *act {
        Act::Say(who, text) => (who, text.into()),
        Act::Me(who) => (who, "/me waves".into()),
        Act::Nick(who, name) => (who, format!("/nick {name}")),
        Act::Go(who, room) => (who, format!("/join {room}")),
        Act::Whisper(who, to) => (who, format!("/msg {} psst", people.get(to)?.name)),
        Act::Who(who) => (who, "/who".into()),
        Act::Leave(who) => (who, "/exit".into()),
        _ => return None,
    })
}

async fn play(script: &[Act]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (events, mut inbox) = channel(EVENTS);
    let (_typing, typed) = channel(1);
    let (shutdown, on_shutdown) = channel::<Infallible>(1);
    let seat = Arc::new(());
    let (mailbox, mut operators) = channel(MAILBOX);
    // The operator reads nothing, and holds nobody up.
    operators.close();
    let hub = Hub::new(
        Peer {
            seat: seat.clone(),
            mailbox,
        },
        HISTORY,
    );
    let places = Arc::new(Semaphore::new(2));
    let hub = tokio::spawn(async move {
        hub::run(hub, &mut inbox, typed, on_shutdown, places).await;
    });
    let mut model = Model::default();
    model.rooms.insert(
        "lobby".into(),
        Room {
            name: "lobby".into(),
            ..Room::default()
        },
    );
    let (mut readers, mut pauses) = (Vec::new(), Vec::new());
    for act in script {
        let actor = match *act {
            Act::LetGo(who) | Act::Return(who) => Some(who),
            _ => lines(act, &model.people).map(|(who, _)| who),
        };
        let nobody = |who: &usize| !model.is_here(*who);
        let addressee = match act {
            Act::Whisper(_, to) => Some(*to),
            _ => None,
        };
        if actor.iter().chain(&addressee).any(nobody)
            || actor.is_none() && !matches!(act, Act::Join | Act::Wait)
        {
            continue;
        }
        match *act {
            Act::Join => {
                let id = model.people.len() as Id + OPERATOR + 1;
                let (mailbox, mails) = channel(MAILBOX);
                let (pausing, pause) = unbounded_channel();
                let peer = Peer {
                    seat: seat.clone(),
                    mailbox,
                };
                events.send(Event::Joined(id, peer)).await.expect("a hub");
                let feed = Feed::new(id, mails);
                readers.push(tokio::spawn(read(feed, pause, events.clone(), id)));
                pauses.push(pausing);
            }
            // Whoever pauses or goes on does so while nothing is on its way to him.
            Act::LetGo(who) | Act::Return(who) => {
                sleep(LONG).await;
                model.do_it(&Act::Wait);
                if model.people[who].away.is_some() != matches!(act, Act::LetGo(_)) {
                    let paused = matches!(act, Act::LetGo(_));
                    pauses[who].send(paused).expect("a reader");
                    sleep(LONG).await;
                }
            }
            Act::Wait => sleep(LONG).await,
            _ => {
                let (who, line) = lines(act, &model.people).expect("something said");
                let heard = Heard {
                    asks: line.starts_with('/') && !line.starts_with("//"),
                    lines: vec![Ok(line)],
                    last: false,
                };
                let id = who as Id + OPERATOR + 1;
                events.send(Event::Heard(id, heard)).await.expect("a hub");
            }
        }
        model.do_it(act);
    }
    sleep(LONG).await;
    model.do_it(&Act::Wait);
    for (who, pause) in pauses.iter().enumerate() {
        // Who has left is gone.
        let _ = pause.send(false);
        model.do_it(&Act::Return(who));
    }
    sleep(LONG).await;
    drop((shutdown, events));
    hub.await.expect("no panic");
    let mut read = Vec::new();
    for reader in readers {
        read.push(reader.await.expect("no panic"));
    }
    (
        read,
        model.people.into_iter().map(|person| person.read).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_reads_what_a_simple_model_says(script in vec(act(), 1..60)) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let (read, expected) = runtime.expect("a runtime").block_on(play(&script));
        prop_assert_eq!(read, expected);
    }
}
