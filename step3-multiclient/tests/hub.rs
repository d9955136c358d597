//! Failures that cannot be provoked from outside: writers that end without a word.

use std::convert::Infallible;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use step3_multiclient::batch::{Batch, Id};
use step3_multiclient::hub::{self, Event, Hub, Inbox};

fn join(events: &Sender<Event>, id: Id) -> Receiver<Batch> {
    let (sender, outbox) = bounded(2);
    events.send(Event::Joined(id, sender)).unwrap();
    outbox
}

fn start(events: Receiver<Event>, operator: Sender<Batch>) -> (JoinHandle<()>, Sender<Infallible>) {
    let (shutdown, on_shutdown) = bounded(1);
    let (_, typed) = bounded(1);
    let mut inbox = Inbox { events, typed, shutdown: on_shutdown };
    let hub = thread::spawn(move || hub::run(Hub::new(operator), &mut inbox));
    (hub, shutdown)
}

#[test]
fn a_client_whose_writer_ended_leaves() {
    let (events, inbox) = bounded(16);
    let (operator, printed) = bounded(16);
    let (hub, _shutdown) = start(inbox, operator);
    let ann = join(&events, 1);
    drop(join(&events, 2));
    for line in ["* you are client-1\n", "* client-2 joined\n", "* client-2 left\n"] {
        assert_eq!(ann.recv().unwrap(), line.into());
    }
    drop(events);
    hub.join().unwrap();
    // The hub is gone, and with it every outbox.
    assert!(ann.recv().is_err());
    assert_eq!(printed.iter().count(), 3);
}

#[test]
fn a_stalled_writer_that_drops_its_outbox_frees_the_hub() {
    let (events, inbox) = bounded(16);
    let (operator, _printed) = bounded(16);
    let (hub, _shutdown) = start(inbox, operator);
    let stalled = join(&events, 1);
    let ann = join(&events, 2);
    assert_eq!(ann.recv().unwrap(), "* you are client-2\n".into());
    for text in ["one", "two", "three"] {
        let received = Event::Received(2, vec![Ok(text.into())]);
        events.send(received).unwrap();
    }
    // The outbox is full, and the hub waits in `send`.
    while !stalled.is_full() {
        thread::yield_now();
    }
    drop(stalled);
    assert_eq!(ann.recv().unwrap(), "* client-1 left\n".into());
    drop(events);
    hub.join().unwrap();
}
