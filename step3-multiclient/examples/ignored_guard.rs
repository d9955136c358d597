//! `let _ = mutex.lock().unwrap()` holds no lock, and `let _ = LeaveGuard` reports `left` at once.
//!
//! `_` is not a variable, so it owns nothing: a temporary value is dropped at the end of the
//! statement. `_guard` is a variable that owns its value until the end of the block. And if `guard`
//! is a variable already, `let _ = guard` does nothing: it neither moves nor drops it.
//!
//! Avoided in: `step3-multiclient/src/session.rs`, `run`

use std::sync::Mutex;

use crossbeam_channel::{Sender, unbounded};

/// Reports that a client left.
struct LeaveGuard(Sender<&'static str>);

impl Drop for LeaveGuard {
    fn drop(&mut self) {
        self.0.send("left").unwrap();
    }
}

/// Returns the events of a session, in order, and whether its lock was held.
#[expect(let_underscore_lock, reason = "rustc refuses it for a lock, but not for other guards")]
fn mistake() -> (Vec<&'static str>, bool) {
    let lock = Mutex::new(());
    let (events, inbox) = unbounded();
    let held = {
        let _ = LeaveGuard(events.clone());
        let _ = lock.lock().unwrap();
        events.send("hello").unwrap();
        lock.try_lock().is_err()
    };
    (inbox.try_iter().collect(), held)
}

fn fix() -> (Vec<&'static str>, bool) {
    let lock = Mutex::new(());
    let (events, inbox) = unbounded();
    let held = {
        let _guard = LeaveGuard(events.clone());
        let _lock = lock.lock().unwrap();
        events.send("hello").unwrap();
        lock.try_lock().is_err()
    };
    (inbox.try_iter().collect(), held)
}

/// Returns the events of a session that ignores a variable.
fn with_a_variable() -> Vec<&'static str> {
    let (events, inbox) = unbounded();
    {
        let guard = LeaveGuard(events.clone());
        let _ = guard;
        events.send("hello").unwrap();
    }
    inbox.try_iter().collect()
}

fn main() {
    let (events, held) = mistake();
    println!("mistake: `let _ =` a temporary: {events:?}, the lock was held: {held}");
    let (events, held) = fix();
    println!("fix:     `let _guard =` a temporary: {events:?}, the lock was held: {held}");
    println!("         `let _ =` a variable: {:?}, it stays where it is", with_a_variable());
    println!("why:     `_` binds nothing, so a temporary is dropped at the end of its statement");
}

#[test]
fn a_named_guard_lives_until_the_end_of_its_block() {
    assert_eq!(mistake(), (vec!["left", "hello"], false));
    assert_eq!(fix(), (vec!["hello", "left"], true));
    assert_eq!(with_a_variable(), ["hello", "left"]);
}
