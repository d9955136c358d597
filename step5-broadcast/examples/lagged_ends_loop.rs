//! A subscriber of `tokio::sync::broadcast` stops receiving, without an error or a panic.
//!
//! `recv` returns `Err(Lagged)` when the channel has overwritten messages that this receiver had
//! not taken yet. The receiver is still subscribed, but `while let Ok` ends the loop. Count what is
//! missing, send the number to the client, and go on.
//!
//! Avoided in: `step5-broadcast/src/writer.rs`, `Writer::push`

use tokio::sync::broadcast::{self, Receiver, error::RecvError};

/// The capacity of the channel. Tokio rounds a capacity up to a power of two.
const CAPACITY: u64 = 16;
const LINES: u64 = 100;

/// Returns how many lines the client received.
async fn mistake() -> u64 {
    let mut lines = lagging();
    let mut received = 0;
    while let Ok(_line) = lines.recv().await {
        received += 1;
    }
    received
}

/// Returns how many lines the client received, and how many it knows that it missed.
async fn fix() -> (u64, u64) {
    let mut lines = lagging();
    let (mut received, mut missed) = (0, 0);
    loop {
        match lines.recv().await {
            Ok(_line) => received += 1,
            Err(RecvError::Lagged(n)) => missed += n,
            Err(RecvError::Closed) => return (received, missed),
        }
    }
}

/// A receiver that has taken none of the lines yet.
fn lagging() -> Receiver<u64> {
    let (sender, lines) = broadcast::channel(CAPACITY as usize);
    for line in 0..LINES {
        sender.send(line).unwrap();
    }
    lines
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("mistake: {} lines received, although {CAPACITY} were there to take", mistake().await);
    let (received, missed) = fix().await;
    println!("fix:     {received} lines received, and the client knows that it missed {missed}");
    println!("why:     `Err` is not always the end: `Lagged` is a gap, `Closed` is the end");
}

#[tokio::test]
async fn a_receiver_that_handles_lagged_receives_the_rest() {
    assert_eq!(mistake().await, 0);
    assert_eq!(fix().await, (CAPACITY, LINES - CAPACITY));
}
