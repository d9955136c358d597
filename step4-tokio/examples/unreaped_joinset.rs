//! The server's memory grows with each connection, although all connections are closed.
//!
//! A `JoinSet` keeps each task that has ended until `join_next` takes its result. A server that
//! only spawns into the set never frees one.
//!
//! Avoided in: `step4-tokio/src/accept.rs`, `run`

use tokio::select;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

const SESSIONS: usize = 10_000;

/// Returns a channel that stands for a listener: [`SESSIONS`] connections, one after the other.
fn listen() -> Receiver<usize> {
    let (connections, listener) = channel(1);
    tokio::spawn(async move {
        for id in 0..SESSIONS {
            connections.send(id).await.expect("a listener");
        }
    });
    listener
}

/// A session that ends at once.
async fn session(_id: usize) {}

/// Returns the largest number of tasks in the set.
#[tokio::main(flavor = "current_thread")]
async fn mistake() -> usize {
    let mut listener = listen();
    let mut sessions = JoinSet::new();
    let mut largest = 0;
    while let Some(id) = listener.recv().await {
        sessions.spawn(session(id));
        largest = largest.max(sessions.len());
    }
    largest
}

/// Returns the same. This loop also takes the results.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> usize {
    let mut listener = listen();
    let mut sessions = JoinSet::new();
    let mut largest = 0;
    loop {
        select! {
            connection = listener.recv() => match connection {
                Some(id) => drop(sessions.spawn(session(id))),
                None => return largest,
            },
            Some(_) = sessions.join_next() => {}
        }
        largest = largest.max(sessions.len());
    }
}

fn main() {
    println!("mistake: {SESSIONS} sessions, one after the other: the set grew to {}", mistake());
    println!("fix:     {SESSIONS} sessions, one after the other: the set grew to {}", fix());
    println!("why:     a `JoinSet` keeps a task until `join_next` takes its result");
}

#[test]
fn a_joinset_keeps_each_task_until_its_result_is_taken() {
    assert_eq!(mistake(), SESSIONS);
    assert!(fix() < 100);
}
