//! What cannot be provoked from outside: tasks that die without a word.

use std::{convert::Infallible, sync::Arc};

use step4_tokio::hub::{self, Event, Hub, Id, Peer};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::{self, JoinHandle},
};

async fn join(events: &Sender<Event>, id: Id) -> Receiver<Arc<str>> {
    let (outbox, lines) = channel(2);
    let seat = Arc::new(());
    let joined = Event::Joined(id, Peer { seat, outbox });
    events.send(joined).await.unwrap();
    lines
}

fn start(
    mut inbox: Receiver<Event>,
    screen: Sender<Arc<str>>,
) -> (JoinHandle<()>, Sender<Infallible>) {
    let (shutdown, on_shutdown) = channel(1);
    let (_, typed) = channel(1);
    let hub = Hub::new(screen);
    let hub = tokio::spawn(async move { hub::run(hub, &mut inbox, typed, on_shutdown).await });
    (hub, shutdown)
}

#[tokio::test]
async fn a_writer_that_died_has_left() {
    let (events, inbox) = channel(16);
    let (screen, mut shown) = channel(16);
    let (hub, _shutdown) = start(inbox, screen);
    let mut ann = join(&events, 1).await;
    drop(join(&events, 2).await);
    for line in [
        "* you are client-1\n",
        "* client-2 joined\n",
        "* client-2 left\n",
    ] {
        assert_eq!(ann.recv().await.unwrap(), line.into());
    }
    drop(events);
    hub.await.unwrap();
    // The hub is gone, and with it every outbox.
    assert!(ann.recv().await.is_none());
    assert_eq!(shown.recv_many(&mut Vec::new(), 16).await, 3);
}

#[tokio::test]
async fn a_stuck_writer_that_gives_up_frees_the_hub() {
    let (events, inbox) = channel(16);
    let (screen, _shown) = channel(16);
    let (hub, _shutdown) = start(inbox, screen);
    let stuck = join(&events, 1).await;
    let mut ann = join(&events, 2).await;
    assert_eq!(ann.recv().await.unwrap(), "* you are client-2\n".into());
    for text in ["one", "two", "three"] {
        let heard = Event::Heard(2, vec![Ok(text.into())]);
        events.send(heard).await.unwrap();
    }
    // It holds two lines, of which it has not taken one.
    while stuck.len() < 2 {
        task::yield_now().await;
    }
    drop(stuck);
    assert_eq!(ann.recv().await.unwrap(), "* client-1 left\n".into());
    drop(events);
    hub.await.unwrap();
}
