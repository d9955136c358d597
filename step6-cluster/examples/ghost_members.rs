//! A member has left, or its server has died, and the other servers still list it.
//!
//! The servers publish changes only. If one is lost, or a server is killed, nothing corrects the list.
//! A roster is the whole state, and the next one repairs what was lost. After a restart, its number
//! begins at 0 again, but its epoch is greater. A server that is silent for too long is gone.
//!
//! Avoided in: `step6-cluster/src/presence.rs`, `receive_presence`

use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};

const GONE_AFTER: Duration = Duration::from_secs(6);

type Members = &'static [&'static str];

/// Returns what is listed when ann has left and bob's server has died.
async fn mistake() -> Vec<&'static str> {
    let (relay, mut changes) = channel(2);
    for change in [("ann", "joined"), ("bob", "joined"), ("ann", "left")] {
        // Fails for the third: the relay is full.
        let _ = relay.try_send(change);
    }
    // The server dies.
    drop(relay);
    let mut list = Vec::new();
    while let Some((name, change)) = changes.recv().await {
        list.retain(|member| *member != name);
        list.extend((change == "joined").then_some(name));
    }
    list
}

/// Publishes each state of the members at once, and the last every two seconds.
async fn serve(relay: Sender<((u64, usize), Members)>, epoch: u64, states: &[Members]) {
    for number in 0.. {
        // Fails for the third, too.
        let _ = relay.try_send(((epoch, number), states[number.min(states.len() - 1)]));
        if number + 1 >= states.len() {
            sleep(Duration::from_secs(2)).await;
        }
    }
}

/// Returns what is listed when ann has left, after a restart, and when the server has died.
async fn fix() -> [Members; 3] {
    let (relay, mut rosters) = channel(2);
    let (mut last, mut list): (_, Members) = ((0, 0), &[]);
    let mut list_after = async |seconds| {
        let end = Instant::now() + Duration::from_secs(seconds);
        while let Ok(received) = timeout_at(end, timeout(GONE_AFTER, rosters.recv())).await {
            match received {
                Ok(Some((number, roster))) if number > last => (last, list) = (number, roster),
                Ok(_older) => {}
                Err(_silent) => list = &[],
            }
        }
        list
    };
    let server = tokio::spawn(serve(relay.clone(), 1, &[&["ann"], &["ann", "bob"], &["bob"]]));
    let first = list_after(60).await;
    server.abort();
    let server = tokio::spawn(serve(relay.clone(), 2, &[&["eve"]]));
    let second = list_after(10).await;
    server.abort();
    [first, second, list_after(10).await]
}

// Time is paused: when all tasks wait, the clock jumps to the next deadline.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("mistake: {:?} are listed: ann has left, and bob's server has died", mistake().await);
    println!("fix:     {:?}: ann has left; the server restarts; it dies", fix().await);
    println!("why:     a lost change is never repaired; a lost state is, by the next one");
}

#[tokio::test(start_paused = true)]
async fn the_next_roster_repairs_what_was_lost() {
    assert_eq!(mistake().await, ["ann", "bob"]);
    assert_eq!(fix().await, [&["bob"][..], &["eve"], &[]]);
}
