//! `join` hangs: the thread waits in `recv`, and nothing is sent any more.
//!
//! The receiving thread ends when the channel closes. The function that joins it still owns the
//! sender, which it would drop when it returns. Each waits for the other: a deadlock.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const LINES: usize = 3;
const LIMIT: Duration = Duration::from_millis(300);

fn join_then_drop(tx: Sender<String>, receiver: JoinHandle<usize>) -> usize {
    let lines = receiver.join().unwrap();
    drop(tx);
    lines
}

fn drop_then_join(tx: Sender<String>, receiver: JoinHandle<usize>) -> usize {
    drop(tx);
    receiver.join().unwrap()
}

/// Returns how many lines the receiver has received, and what `join` returns within `limit`.
fn run(
    end: fn(Sender<String>, JoinHandle<usize>) -> usize,
    limit: Duration,
) -> (usize, Result<usize, RecvTimeoutError>) {
    let (tx, rx) = mpsc::channel();
    let (received, on_received) = mpsc::channel();
    let receiver = thread::spawn(move || {
        let mut lines = 0;
        while let Ok(_line) = rx.recv() {
            lines += 1;
            received.send(()).unwrap();
        }
        lines
    });
    for n in 0..LINES {
        tx.send(format!("line {n}")).unwrap();
    }
    // From here on, only the end of the channel can wake the receiver.
    let received = on_received.iter().take(LINES).count();
    let (joined, on_joined) = mpsc::channel();
    // In the deadlock, both threads stay blocked until the process ends.
    thread::spawn(move || joined.send(end(tx, receiver)).unwrap());
    (received, on_joined.recv_timeout(limit))
}

fn mistake() -> (usize, Result<usize, RecvTimeoutError>) {
    run(join_then_drop, LIMIT)
}

fn fix() -> (usize, Result<usize, RecvTimeoutError>) {
    run(drop_then_join, Duration::from_secs(20))
}

fn main() {
    let (received, joined) = mistake();
    println!(
        "mistake: the receiver has all {received} lines, and `join` still waits after {LIMIT:?}"
    );
    println!("         ({joined:?}): the sender is alive");
    let start = Instant::now();
    let (received, joined) = fix();
    println!(
        "fix:     {received} lines, and `join` returns {joined:?} after {:?}:",
        start.elapsed()
    );
    println!("         `drop(tx)` before `join`");
    println!("why:     the thread ends when its channel closes, so close the channel first");
}

#[test]
fn joining_a_receiver_before_the_sender_is_dropped_deadlocks() {
    assert_eq!(mistake(), (LINES, Err(RecvTimeoutError::Timeout)));
    assert_eq!(fix(), (LINES, Ok(LINES)));
}
