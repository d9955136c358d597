//! What cannot be provoked from outside: threads that die without a word.

use std::{sync::Arc, thread};

use crossbeam_channel::{Receiver, Sender, bounded, never};
use step3_multiclient::hub::{self, Event, Hub, Id, Peer};

fn join(events: &Sender<Event>, id: Id) -> Receiver<Arc<str>> {
    let (outbox, lines) = bounded(2);
    let seat = Arc::new(());
    events
        .send(Event::Joined(id, Peer { seat, outbox }))
        .unwrap();
    lines
}

#[test]
fn a_writer_that_died_has_left() {
    let (events, inbox) = bounded(16);
    let (screen, shown) = bounded(16);
    let hub = thread::spawn(move || hub::run(Hub::new(screen), &inbox, never(), never()));
    let ann = join(&events, 1);
    drop(join(&events, 2));
    let lines: Vec<_> = ann.iter().take(3).collect();
    assert_eq!(
        lines,
        [
            "* you are client-1\n",
            "* client-2 joined\n",
            "* client-2 left\n"
        ]
        .map(Arc::from)
    );
    drop(events);
    hub.join().unwrap();
    // The hub is gone, and with it every outbox.
    assert!(ann.recv().is_err());
    assert_eq!(shown.iter().count(), 3);
}

#[test]
fn a_stuck_writer_that_gives_up_frees_the_hub() {
    let (events, inbox) = bounded(16);
    let (screen, _shown) = bounded(16);
    let hub = thread::spawn(move || hub::run(Hub::new(screen), &inbox, never(), never()));
    let stuck = join(&events, 1);
    let ann = join(&events, 2);
    assert_eq!(ann.recv().unwrap(), "* you are client-2\n".into());
    for text in ["one", "two", "three"] {
        events.send(Event::Heard(2, vec![Ok(text.into())])).unwrap();
    }
    // It holds two lines, of which it has not taken one.
    while !stuck.is_full() {
        thread::yield_now();
    }
    drop(stuck);
    assert_eq!(ann.recv().unwrap(), "* client-1 left\n".into());
    drop(events);
    hub.join().unwrap();
}
