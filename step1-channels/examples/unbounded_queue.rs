//! The memory of a program with a channel grows and grows.
//!
//! `mpsc::channel` has no bound, and `send` never waits. When the receiver is slower than the
//! sender, the difference piles up in the queue. A bounded channel makes the sender wait instead:
//! this is backpressure.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

const LINES: usize = 100_000;
const BOUND: usize = 16;

fn line(n: usize) -> String {
    format!("line {n:>95}")
}

/// Returns how many lines, and how many bytes of text, wait for a receiver that has not begun.
fn mistake() -> (usize, usize) {
    let (tx, rx) = mpsc::channel();
    let sender = thread::spawn(move || {
        for n in 0..LINES {
            tx.send(line(n)).unwrap();
        }
    });
    sender.join().unwrap();
    rx.try_iter().fold((0, 0), |(lines, bytes), line| (lines + 1, bytes + line.len()))
}

/// Returns how many lines waited when the channel was full, and how many arrived in the end.
fn fix() -> (usize, usize) {
    let (tx, rx) = mpsc::sync_channel(BOUND);
    let (probe, sent) = (tx.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = sent.clone();
    let sender = thread::spawn(move || {
        for n in 0..LINES {
            tx.send(line(n)).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while sent.load(Ordering::SeqCst) < BOUND && Instant::now() < deadline {
        thread::yield_now();
    }
    let full = matches!(probe.try_send(line(0)), Err(TrySendError::Full(_)));
    assert!(full, "the sender waits");
    let queued = sent.load(Ordering::SeqCst);
    drop(probe);
    let received = rx.iter().count();
    sender.join().unwrap();
    (queued, received)
}

fn main() {
    let (lines, bytes) = mistake();
    println!("mistake: {lines} lines ({bytes} bytes) are queued before the first `recv`");
    let (queued, received) = fix();
    println!("fix:     {queued} lines are queued, then `send` waits; all {received} lines arrive");
    println!("why:     only a bound makes the sender as slow as the receiver");
}

#[test]
fn only_a_bounded_channel_makes_its_sender_wait() {
    assert_eq!(mistake(), (LINES, 100 * LINES));
    assert_eq!(fix(), (BOUND, LINES));
}
