//! The server still runs but answers nothing: a spawned task has panicked.
//!
//! A panic ends the task, not the program. Tokio keeps it for the `JoinHandle`. If you drop the
//! handle, only the message on stderr is left. Step 4 does not spawn its hub, so a panic there ends
//! `main`. A panic of the accept task drops its sessions and closes the hub's queue. Then the hub
//! returns, and `run` awaits the task.
//!
//! Avoided in: `step4-tokio/src/server.rs`, `run`

use std::convert::Infallible;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::select;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinError, yield_now};
use tokio::time::timeout;

/// Closes when the server has to end.
type Shutdown = Receiver<Infallible>;

/// Stands for a hub with a bug.
async fn hub() {
    yield_now().await;
    panic!("a bug in the hub");
}

/// Drops the handle of the hub's task.
async fn serve_blindly(mut shutdown: Shutdown) {
    tokio::spawn(hub());
    shutdown.recv().await;
}

/// Awaits the hub's task, too. With several tasks, a `JoinSet` does the same.
async fn serve(mut shutdown: Shutdown) -> Result<(), JoinError> {
    let hub = tokio::spawn(hub());
    select! {
        ended = hub => ended,
        _ = shutdown.recv() => Ok(()),
    }
}

/// Returns whether the server still runs, and how many spawned tasks do: the hub is the only one.
#[tokio::main(flavor = "current_thread")]
async fn mistake() -> (bool, usize) {
    let (_signals, shutdown) = channel(1);
    let ended = timeout(Duration::from_millis(300), serve_blindly(shutdown)).await;
    (ended.is_err(), Handle::current().metrics().num_alive_tasks())
}

/// Returns the server's error.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> JoinError {
    let (_signals, shutdown) = channel(1);
    let ended = timeout(Duration::from_secs(20), serve(shutdown)).await;
    ended.expect("the server ends at once").expect_err("the hub panics")
}

fn main() {
    let (running, tasks) = mistake();
    println!("mistake: after the panic, the server runs: {running}; tasks of the hub: {tasks}");
    println!("fix:     the server ends with an error: {}", fix());
    println!("why:     a task's panic goes to its `JoinHandle`; a dropped handle discards it");
}

#[test]
fn a_panic_is_seen_only_where_the_task_is_awaited() {
    assert_eq!(mistake(), (true, 0));
    assert!(fix().is_panic());
}
