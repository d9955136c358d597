//! All other tasks stand still while one task calls `std::thread::sleep` or reads the keyboard.
//!
//! A task gives its thread back only at an `.await` that has to wait. A blocking call keeps the
//! thread, and on a current-thread runtime that is the only one: no timer fires, no socket is read.
//!
//! Avoided in: `step4-tokio/src/console.rs`, `Console::open`

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::interval;

const CALL: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(10);

/// Counts the ticks of another task while `call` runs.
async fn ticks_during(call: impl Future<Output = ()>) -> u32 {
    let ticks = Arc::new(AtomicU32::new(0));
    let counter = ticks.clone();
    let ticker = tokio::spawn(async move {
        let mut interval = interval(TICK);
        loop {
            interval.tick().await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    call.await;
    ticker.abort();
    ticks.load(Ordering::Relaxed)
}

/// Blocks the runtime's thread. Returns the ticks of the other task.
#[tokio::main(flavor = "current_thread")]
async fn mistake() -> u32 {
    ticks_during(async { thread::sleep(CALL) }).await
}

/// Blocks a thread of the runtime's blocking pool, and awaits it.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> u32 {
    ticks_during(async { spawn_blocking(|| thread::sleep(CALL)).await.expect("no panic") }).await
}

fn main() {
    println!(
        "mistake: {} of about 30 ticks in 300 ms: the task blocks the runtime's thread",
        mistake()
    );
    println!(
        "fix:     {} of about 30 ticks in 300 ms: `spawn_blocking` blocks another thread",
        fix()
    );
    println!("why:     tasks share the thread, and only an `.await` that waits gives it back");
    println!("         (a read may block forever; for that, start a thread that can be abandoned)");
}

#[test]
fn a_blocking_call_starves_the_other_tasks() {
    assert_eq!(mistake(), 0);
    assert!(fix() >= 10);
}
