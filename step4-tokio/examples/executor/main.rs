//! How `.await` works: an executor of 100 lines runs two tasks, and prints each poll.
//!
//! - A *future* is a value that answers one question: are you done? By itself it does nothing.
//! - To *poll* a future is to ask it. It answers `Ready` with its value, or `Pending`.
//! - A *waker* is a handle that says: poll this task again. Before a future answers `Pending`, it
//!   gives the waker to whatever it waits for: here a timer or a channel, in Tokio also a socket.
//! - An *executor* polls each task that has been woken. While there is none, its thread sleeps.
//! - *Pinned* means: stays at this address until it is dropped. See `ann.rs` for the reason.
//!
//! Read `executor.rs` next: it has all the parts. `ann.rs` shows what `.await` compiles to: it has
//! one task twice, as an `async fn` and as a state machine written by hand.

mod ann;
mod executor;

use std::time::{Duration, Instant};

use ann::{Ann, ann};
use executor::{Channel, run, sleep};

const NAP: Duration = Duration::from_millis(20);

/// Sends its name to ann after two naps, and returns ann's reply.
async fn bob(inbox: Channel, to_ann: Channel) -> String {
    sleep(2 * NAP).await;
    to_ann.send("bob");
    inbox.recv().await
}

/// Runs bob with one of the two anns. Returns the executor's log.
fn talk<F: Future<Output = String> + 'static>(ann: fn(Channel, Channel) -> F) -> Vec<String> {
    let (to_ann, to_bob) = (Channel::default(), Channel::default());
    let ann = Box::pin(ann(to_ann.clone(), to_bob.clone()));
    run([("ann", ann), ("bob", Box::pin(bob(to_bob, to_ann)))])
}

fn main() {
    let start = Instant::now();
    let log = talk(ann);
    let (time, polls) = (start.elapsed(), log.iter().filter(|line| line.starts_with("poll")));
    println!("{}\n", log.join("\n"));
    println!("{} polls in {time:.0?}: while both tasks wait, the thread sleeps", polls.count());
    println!("the hand-written state machine gives the same log: {}", talk(Ann::new) == log);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parks take 40 ms: the thread slept. An executor that spins would park more often.
    #[test]
    fn the_executor_sleeps_until_a_task_is_woken() {
        let start = Instant::now();
        let log = talk(ann);
        assert!(start.elapsed() >= 2 * NAP);
        let expected = [
            "wake ann",
            "wake bob",
            "poll ann: Pending", // sleeps
            "poll bob: Pending", // sleeps
            "park",
            "wake ann",
            "poll ann: Pending", // receives
            "park",
            "wake bob",
            "wake ann",          // by bob, which sends to it
            "poll bob: Pending", // receives
            "wake bob",          // by ann, which replies
            r#"poll ann: Ready("bob")"#,
            r#"poll bob: Ready("hello, bob")"#,
        ];
        assert_eq!(log, expected);
    }

    #[test]
    fn an_async_fn_is_a_state_machine() {
        assert_eq!(talk(ann), talk(Ann::new));
    }
}
