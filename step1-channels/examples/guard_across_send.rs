//! A thread hangs in `send`, and the receiving thread hangs in `lock`.
//!
//! The sender holds a `MutexGuard` while `send` waits for the receiver. The receiver needs the same
//! lock before it receives. Each waits for the other: a deadlock. In step 1 each line has one owner
//! at a time, so nothing is locked.
//!
//! Avoided in: `step1-channels/src/peer.rs`, `run`

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(300);

type History = Mutex<Vec<String>>;
/// What the receiver got within the limit, and whether the history is locked then.
type Outcome = (Result<String, RecvTimeoutError>, bool);

fn send_while_locked(history: &History, pushed: &Barrier, tx: &SyncSender<String>) {
    let mut history = history.lock().unwrap();
    history.push(String::from("hello"));
    pushed.wait();
    tx.send(history[0].clone()).unwrap();
}

fn send_after_unlock(history: &History, pushed: &Barrier, tx: &SyncSender<String>) {
    let line = String::from("hello");
    // The guard is a temporary: it is dropped at the end of this statement.
    history.lock().unwrap().push(line.clone());
    pushed.wait();
    tx.send(line).unwrap();
}

fn run(send: fn(&History, &Barrier, &SyncSender<String>), limit: Duration) -> Outcome {
    let history = Arc::new(History::default());
    // The receiver locks only after the sender has.
    let pushed = Arc::new(Barrier::new(2));
    let (tx, rx) = mpsc::sync_channel(0);
    let (received, on_received) = mpsc::channel();
    // In the deadlock, both threads stay blocked until the process ends.
    let (sender_history, sender_pushed) = (history.clone(), pushed.clone());
    thread::spawn(move || send(&sender_history, &sender_pushed, &tx));
    let receiver_history = history.clone();
    thread::spawn(move || {
        pushed.wait();
        let number = receiver_history.lock().unwrap().len();
        let line = rx.recv().unwrap();
        received.send(format!("line {number}: {line}")).unwrap();
    });
    let line = on_received.recv_timeout(limit);
    (line, history.try_lock().is_err())
}

fn mistake() -> Outcome {
    run(send_while_locked, LIMIT)
}

fn fix() -> Outcome {
    run(send_after_unlock, Duration::from_secs(20))
}

fn main() {
    let (line, locked) = mistake();
    println!("mistake: after {LIMIT:?} the receiver has {line:?}; the lock is held: {locked}");
    let (line, locked) = fix();
    println!("fix:     the receiver has {line:?}; the lock is held: {locked}");
    println!("         the sender drops its guard before it sends");
    println!("why:     `send` waits with the lock held, and the receiver locks before it receives");
}

#[test]
fn a_guard_held_across_a_blocking_send_deadlocks() {
    assert_eq!(mistake(), (Err(RecvTimeoutError::Timeout), true));
    assert_eq!(fix(), (Ok(String::from("line 1: hello")), false));
}
