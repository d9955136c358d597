//! The whole server hangs at 0 % CPU: a `MutexGuard` is held across `.await`.
//!
//! A future awaits with the guard of a `std::sync::Mutex`. Another future on the same thread, here in
//! the same task, calls `lock` and so blocks the thread. The first is never polled again, so it never
//! drops its guard: a deadlock. `tokio::spawn` refuses such a future; `block_on` does not.
//!
//! Avoided in: `step4-tokio/src/hub.rs`, `run`

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::yield_now;

type Room = Mutex<Vec<&'static str>>;

#[expect(clippy::await_holding_lock, reason = "this is the mistake")]
async fn enter_holding(room: &Room, name: &'static str, steps: Sender<String>) {
    steps.send(format!("{name} calls lock")).expect("main listens");
    let mut members = room.lock().expect("no panic");
    members.push(name);
    steps.send(format!("{name} awaits")).expect("main listens");
    // Stands for a write to a socket.
    yield_now().await;
}

async fn enter(room: &Room, name: &'static str, steps: Sender<String>) {
    steps.send(format!("{name} calls lock")).expect("main listens");
    // The guard is a temporary: it is dropped at the end of this statement.
    room.lock().expect("no panic").push(name);
    steps.send(format!("{name} awaits")).expect("main listens");
    yield_now().await;
}

/// Joins two futures on a thread of its own, which is abandoned if they deadlock. Returns the first
/// three steps, and what comes next within `limit`.
fn run(
    enter: impl AsyncFn(&Room, &'static str, Sender<String>) + Send + 'static,
    room: Arc<Room>,
    limit: Duration,
) -> (String, Result<String, RecvTimeoutError>) {
    let (steps, taken) = channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let (ann, bob) = (enter(&room, "ann", steps.clone()), enter(&room, "bob", steps));
        runtime.block_on(async { tokio::join!(ann, bob) })
    });
    let step = |limit| taken.recv_timeout(limit);
    let first = [(); 3].map(|()| step(Duration::from_secs(20)).expect("a step"));
    (first.join(", "), step(limit))
}

/// Returns what `run` returns, and whether the room is locked after that.
fn mistake() -> (String, Result<String, RecvTimeoutError>, bool) {
    let room = Arc::new(Room::default());
    let (steps, next) = run(enter_holding, room.clone(), Duration::from_millis(300));
    (steps, next, matches!(room.try_lock(), Err(TryLockError::WouldBlock)))
}

fn fix() -> (String, Result<String, RecvTimeoutError>) {
    run(enter, Arc::default(), Duration::from_secs(20))
}

fn main() {
    let (steps, next, locked) = mistake();
    println!("mistake: {steps}, then {next:?} for 300 ms; locked: {locked}");
    let (steps, next) = fix();
    println!("fix:     {steps}, then {next:?}");
    println!("why:     bob's `lock` blocks the thread that has to poll ann, which holds the lock;");
    println!("         drop the guard before `.await`, use an actor, or Tokio's `Mutex`");
}

#[test]
fn a_guard_across_an_await_deadlocks_the_thread() {
    let steps = "ann calls lock, ann awaits, bob calls lock";
    assert_eq!(mistake(), (steps.into(), Err(RecvTimeoutError::Timeout), true));
    assert_eq!(fix(), (steps.into(), Ok("bob awaits".into())));
}
