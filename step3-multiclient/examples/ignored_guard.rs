//! `let _ = guard` drops the guard at once: the lock is free, and `Left` is the first event.
//!
//! `_` is not a variable, so it owns nothing: a temporary value is dropped at the end of the
//! statement. `_guard` is a variable that owns its value until the end of the block.
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

fn main() {
    let [(wrong, free), (right, held)] = [mistake(), fix()];
    println!("mistake: `let _ =`: the events are {wrong:?}, the lock was held: {free}");
    println!("fix:     `let _guard =`: the events are {right:?}, the lock was held: {held}");
    println!("why:     `_` binds nothing, so the guard is dropped at the end of its statement");
}

#[test]
fn a_named_guard_lives_until_the_end_of_its_block() {
    assert_eq!(mistake(), (vec!["left", "hello"], false));
    assert_eq!(fix(), (vec!["hello", "left"], true));
}
