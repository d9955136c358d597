//! `recv` never returns, although all sending threads have finished.
//!
//! A channel closes when its last sender is dropped. Each thread drops its own clone, but the `tx`
//! that was cloned is still in scope, in the function that receives.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

const THREADS: usize = 3;
const LIMIT: Duration = Duration::from_millis(300);

/// Each thread sends one line through its own clone of `tx`, and has ended when this returns.
fn send_from_threads(tx: &Sender<String>) {
    let spawn = |n| {
        let tx = tx.clone();
        thread::spawn(move || tx.send(format!("line {n}")).unwrap())
    };
    let threads: Vec<_> = (0..THREADS).map(spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Receives until the channel is closed, or until nothing comes for `limit`.
fn count(rx: &Receiver<String>, limit: Duration) -> (usize, RecvTimeoutError) {
    let mut lines = 0;
    loop {
        match rx.recv_timeout(limit) {
            Ok(_) => lines += 1,
            Err(end) => return (lines, end),
        }
    }
}

fn mistake() -> (usize, RecvTimeoutError) {
    let (tx, rx) = mpsc::channel();
    send_from_threads(&tx);
    count(&rx, LIMIT)
    // `tx` is dropped here, too late.
}

fn fix() -> (usize, RecvTimeoutError) {
    let (tx, rx) = mpsc::channel();
    send_from_threads(&tx);
    drop(tx);
    count(&rx, Duration::from_secs(20))
}

fn main() {
    let (lines, end) = mistake();
    println!("mistake: {lines} lines, then `recv` still waits after {LIMIT:?} ({end:?}):");
    println!("         all threads have ended, but `tx` itself is in scope");
    let (lines, end) = fix();
    println!("fix:     {lines} lines, then the end ({end:?}):");
    println!("         `drop(tx)` before the loop");
    println!("why:     a channel closes when its last sender is dropped");
}

#[test]
fn a_channel_closes_when_its_last_sender_is_dropped() {
    assert_eq!(mistake(), (THREADS, RecvTimeoutError::Timeout));
    assert_eq!(fix(), (THREADS, RecvTimeoutError::Disconnected));
}
