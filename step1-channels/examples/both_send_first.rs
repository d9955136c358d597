//! Two threads with a channel in each direction hang in `send`.
//!
//! `send` on a rendezvous channel (`sync_channel(0)`) waits until the other thread receives. If both
//! threads send before they receive, each waits for the other: a deadlock. With a larger capacity the
//! deadlock comes later. Step 1 has no cycle: its lines flow in one direction.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(300);

#[derive(Clone, Copy)]
enum First {
    Send,
    Receive,
}

fn exchange(first: First, tx: &SyncSender<&str>, rx: &Receiver<&str>) {
    match first {
        First::Send => {
            tx.send("hello").unwrap();
            rx.recv().unwrap();
        }
        First::Receive => {
            rx.recv().unwrap();
            tx.send("hello").unwrap();
        }
    }
}

/// Returns how many of the two threads have ended within `limit`, and how many wait in `recv` then.
fn run(order: [First; 2], limit: Duration) -> (usize, usize) {
    let (to_a, from_b) = mpsc::sync_channel(0);
    let (to_b, from_a) = mpsc::sync_channel(0);
    let (ended, on_end) = mpsc::channel();
    let both_ready = Arc::new(Barrier::new(2));
    for (first, tx, rx) in [(order[0], to_b.clone(), from_b), (order[1], to_a.clone(), from_a)] {
        let (both_ready, ended) = (both_ready.clone(), ended.clone());
        // In a deadlock, the threads stay blocked until the process ends.
        thread::spawn(move || {
            both_ready.wait();
            exchange(first, &tx, &rx);
            ended.send(()).unwrap();
        });
    }
    let deadline = Instant::now() + limit;
    let left = || deadline.saturating_duration_since(Instant::now());
    let ended = (0..2).map_while(|_| on_end.recv_timeout(left()).ok()).count();
    // `try_send` on a rendezvous channel succeeds only if the other end is in `recv`.
    let receiving = [to_a, to_b].iter().filter(|tx| tx.try_send("hello").is_ok()).count();
    (ended, receiving)
}

fn mistake() -> (usize, usize) {
    run([First::Send, First::Send], LIMIT)
}

fn fix() -> (usize, usize) {
    run([First::Send, First::Receive], Duration::from_secs(20))
}

fn main() {
    let (ended, receiving) = mistake();
    println!(
        "mistake: {ended} of 2 threads have ended after {LIMIT:?}, {receiving} are in `recv`:"
    );
    println!("         both are in `send`, each until the other receives");
    println!("fix:     {} of 2 threads have ended: one of them receives first", fix().0);
    println!("why:     `send` on a full channel waits; in a cycle, each thread waits for the next");
}

#[test]
fn two_threads_that_send_first_deadlock() {
    assert_eq!(mistake(), (0, 0));
    assert_eq!(fix(), (2, 0));
}
