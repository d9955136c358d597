//! The hub and a writer thread wait for each other in `send`, and the whole chat hangs.
//!
//! A writer that gives up reports `Left`, then drops its receiver. But the event queue is full, and
//! the hub takes no event: it waits for space in the outbox of that writer. Drop the receiver first:
//! the hub's `send` fails at once, and the hub takes events again.
//!
//! Avoided in: `step3-multiclient/src/session.rs`, `write`

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

#[derive(Debug, PartialEq)]
enum Event {
    Received,
    Left,
}

/// Returns whether the hub took `Left`.
fn mistake() -> Result<(), RecvTimeoutError> {
    evict(Duration::from_millis(300), |events, outbox| {
        let _ = events.send(Event::Left);
        drop(outbox);
    })
}

fn fix() -> Result<(), RecvTimeoutError> {
    evict(Duration::from_secs(20), |events, outbox| {
        drop(outbox);
        let _ = events.send(Event::Left);
    })
}

type Writer = fn(&Sender<Event>, Receiver<&'static str>);

fn evict(limit: Duration, writer: Writer) -> Result<(), RecvTimeoutError> {
    let (events, inbox) = bounded(1);
    let (sender, outbox) = bounded(1);
    events.send(Event::Received).unwrap();
    sender.send("a line").unwrap();
    let (done, on_done) = bounded(1);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            // The hub. It waits here until the writer has dropped the receiver.
            assert!(sender.send("another line").is_err());
            while inbox.recv() != Ok(Event::Left) {}
            done.send(()).unwrap();
        });
        scope.spawn(|| {
            start.wait();
            writer(&events, outbox);
        });
        let result = on_done.recv_timeout(limit);
        if result.is_err() {
            // Both queues are full, and neither thread takes anything before its own `send` ends.
            assert!(events.is_full() && sender.is_full());
            // Frees both threads.
            assert_eq!(inbox.recv(), Ok(Event::Received));
        }
        result
    })
}

fn main() {
    println!("mistake: the hub takes no `Left` within 300 ms ({:?}):", mistake());
    println!("         `Left` waits for the hub, and the hub waits for space in the outbox");
    println!("fix:     the hub takes `Left` ({:?}): the writer drops its receiver first", fix());
    println!("why:     drop first what others wait for, and only then wait yourself");
}

#[test]
fn a_writer_drops_its_receiver_before_it_reports() {
    assert_eq!((mistake(), fix()), (Err(RecvTimeoutError::Timeout), Ok(())));
}
