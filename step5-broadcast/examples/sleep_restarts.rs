//! A timeout inside `select!` in a loop never fires while messages arrive.
//!
//! Each turn of the loop calls `sleep` again, so the time starts anew with each message. Compute
//! the deadline before the loop and wait with `sleep_until`, or pin one `sleep` outside of it.
//!
//! Avoided in: `step5-broadcast/src/session.rs`, `write`

use std::pin::pin;
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep, sleep_until};

const TIMEOUT: Duration = Duration::from_millis(100);
/// For five seconds, messages arrive more often than the timeout.
const INTERVAL: Duration = Duration::from_millis(50);
const MESSAGES: u32 = 100;

/// Returns when the timeout fires; `None` if the messages end before that.
async fn mistake() -> Option<Duration> {
    let (start, mut messages) = (Instant::now(), messages());
    loop {
        select! {
            message = messages.recv() => message?,
            () = sleep(TIMEOUT) => return Some(start.elapsed()),
        }
    }
}

async fn fix_with_a_deadline() -> Option<Duration> {
    let (start, mut messages) = (Instant::now(), messages());
    let deadline = start + TIMEOUT;
    loop {
        select! {
            message = messages.recv() => message?,
            () = sleep_until(deadline) => return Some(start.elapsed()),
        }
    }
}

async fn fix_with_a_pin() -> Option<Duration> {
    let (start, mut messages) = (Instant::now(), messages());
    let mut timeout = pin!(sleep(TIMEOUT));
    loop {
        select! {
            message = messages.recv() => message?,
            () = &mut timeout => return Some(start.elapsed()),
        }
    }
}

fn messages() -> Receiver<()> {
    let (sender, messages) = channel(1);
    tokio::spawn(async move {
        for _ in 0..MESSAGES {
            sleep(INTERVAL).await;
            // Fails when the timeout has fired.
            let _ = sender.send(()).await;
        }
    });
    messages
}

// Time is paused: when all tasks wait, the clock jumps to the next deadline.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let text = |t: Option<Duration>| t.map_or("never fired".into(), |t| format!("fired at {t:?}"));
    println!("mistake: a timeout of {TIMEOUT:?} {} in 5 s", text(mistake().await));
    println!("fix:     it {}: one deadline", text(fix_with_a_deadline().await));
    println!("         it {}: one pinned `sleep`", text(fix_with_a_pin().await));
    println!("why:     `select!` drops the branches that lose, and the next turn sleeps anew");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outside_of_the_loop_is_met() {
    assert_eq!(mistake().await, None);
    assert!(fix_with_a_deadline().await.is_some_and(|after| after < TIMEOUT + INTERVAL));
    assert!(fix_with_a_pin().await.is_some_and(|after| after < TIMEOUT + INTERVAL));
}
