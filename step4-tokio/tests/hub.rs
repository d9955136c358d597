//! Failures that cannot be provoked from outside: writers that end without a word.

use std::convert::Infallible;

use step4_tokio::batch::{Batch, Id};
use step4_tokio::hub::{self, Event, Hub, Inbox};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{self, JoinHandle};

async fn join(events: &Sender<Event>, id: Id) -> Receiver<Batch> {
    let (sender, outbox) = channel(2);
    events.send(Event::Joined(id, sender)).await.unwrap();
    outbox
}

fn start(events: Receiver<Event>, operator: Sender<Batch>) -> (JoinHandle<()>, Sender<Infallible>) {
    let (shutdown, on_shutdown) = channel(1);
    let (_, typed) = channel(1);
    let mut inbox = Inbox { events, typed, shutdown: on_shutdown };
    let hub = tokio::spawn(async move { hub::run(Hub::new(operator), &mut inbox).await });
    (hub, shutdown)
}

#[tokio::test]
async fn a_client_whose_writer_ended_leaves() {
    let (events, inbox) = channel(16);
    let (operator, mut printed) = channel(16);
    let (hub, _shutdown) = start(inbox, operator);
    let mut ann = join(&events, 1).await;
    drop(join(&events, 2).await);
    for line in ["* you are client-1\n", "* client-2 joined\n", "* client-2 left\n"] {
        assert_eq!(ann.recv().await.unwrap(), line.into());
    }
    drop(events);
    hub.await.unwrap();
    // The hub is gone, and with it every outbox.
    assert!(ann.recv().await.is_none());
    assert_eq!(printed.recv_many(&mut Vec::new(), 16).await, 3);
}

#[tokio::test]
async fn a_stalled_writer_that_drops_its_outbox_frees_the_hub() {
    let (events, inbox) = channel(16);
    let (operator, _printed) = channel(16);
    let (hub, _shutdown) = start(inbox, operator);
    let stalled = join(&events, 1).await;
    let mut ann = join(&events, 2).await;
    assert_eq!(ann.recv().await.unwrap(), "* you are client-2\n".into());
    for text in ["one", "two", "three"] {
        let received = Event::Received(2, vec![Ok(text.into())]);
        events.send(received).await.unwrap();
    }
    // The outbox is full, and the hub waits in `send`.
    while stalled.len() < 2 {
        task::yield_now().await;
    }
    drop(stalled);
    assert_eq!(ann.recv().await.unwrap(), "* client-1 left\n".into());
    drop(events);
    hub.await.unwrap();
}
