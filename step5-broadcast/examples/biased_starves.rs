//! The server does not react to the stop signal while a client floods it.
//!
//! `biased;` makes `select!` poll its branches in order. As long as the first is always ready, the
//! others are never polled (starvation). Without `biased;`, each turn begins at a random branch.
//! Or let the rare branch be the first.
//!
//! Avoided in: `step5-broadcast/src/hub.rs`, `run`

use std::convert::Infallible;

use tokio::select;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The test gives up after this many lines; a real flood has no end.
const LIMIT: usize = 100_000;

/// Returns how many lines are handled after the stop signal; `None` if the loop does not stop.
async fn mistake() -> Option<usize> {
    let (sender, mut lines, mut stop) = flood();
    for handled in 0..LIMIT {
        select! {
            biased;
            Some(line) = lines.recv() => sender.try_send(line).unwrap(),
            _ = stop.recv() => return Some(handled),
        }
    }
    None
}

async fn fix_by_fairness() -> Option<usize> {
    let (sender, mut lines, mut stop) = flood();
    for handled in 0..LIMIT {
        select! {
            Some(line) = lines.recv() => sender.try_send(line).unwrap(),
            _ = stop.recv() => return Some(handled),
        }
    }
    None
}

async fn fix_by_order() -> Option<usize> {
    let (sender, mut lines, mut stop) = flood();
    for handled in 0..LIMIT {
        select! {
            biased;
            _ = stop.recv() => return Some(handled),
            Some(line) = lines.recv() => sender.try_send(line).unwrap(),
        }
    }
    None
}

/// A queue that holds a line, where each line is followed by another, and a stop signal that is
/// given already: its sender is dropped.
fn flood() -> (Sender<&'static str>, Receiver<&'static str>, Receiver<Infallible>) {
    let (sender, lines) = channel(1);
    sender.try_send("a line").unwrap();
    (sender, lines, channel(1).1)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let print = |head, handled: Option<usize>, cause| match handled {
        Some(n) => println!("{head} lines handled after the signal: {n}; {cause}"),
        None => println!("{head} lines handled after the signal: {LIMIT}, no stop; {cause}"),
    };
    print("mistake:", mistake().await, "the flood is the first branch");
    print("fix:    ", fix_by_fairness().await, "no `biased;`");
    print("        ", fix_by_order().await, "the signal is the first branch");
    println!("why:     `biased;` polls in order, and the first branch was always ready");
}

#[tokio::test]
async fn a_flood_does_not_starve_a_stop_signal() {
    assert_eq!(mistake().await, None);
    assert!(fix_by_fairness().await.is_some());
    assert_eq!(fix_by_order().await, Some(0));
}
