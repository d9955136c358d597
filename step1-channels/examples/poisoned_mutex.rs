//! Many threads panic with `PoisonError`, long after the panic that caused it.
//!
//! A thread that panics while it holds a `MutexGuard` poisons the mutex. From then on every `lock`
//! returns an error, and `lock().unwrap()` turns it into another panic in each thread. Step 1 shares
//! nothing, so it has nothing to poison.
//!
//! Avoided in: `step1-channels/src/peer.rs`, `run`

use std::num::ParseIntError;
use std::sync::{Arc, Mutex};
use std::{panic, thread};

const THREADS: usize = 3;

type Sum = Arc<Mutex<u32>>;

fn add_while_locked(sum: &Sum, text: &str) -> Result<(), ParseIntError> {
    let mut sum = sum.lock().unwrap();
    *sum += text.parse::<u32>().unwrap();
    Ok(())
}

fn add_after_parsing(sum: &Sum, text: &str) -> Result<(), ParseIntError> {
    let number: u32 = text.parse()?;
    *sum.lock().unwrap() += number;
    Ok(())
}

/// Adds one bad text, then good ones, each in a thread. Returns how many threads panicked, and
/// whether the mutex is poisoned.
fn run(add: fn(&Sum, &str) -> Result<(), ParseIntError>) -> (usize, bool) {
    let sum = Sum::default();
    let panics = |text: &'static str| {
        let sum = sum.clone();
        // An `Err` from `add` is a result like any other. `join` fails only after a panic.
        thread::spawn(move || add(&sum, text).is_ok()).join().is_err()
    };
    let first = usize::from(panics("three"));
    let later = (0..THREADS).filter(|_| panics("1")).count();
    (first + later, sum.is_poisoned())
}

fn mistake() -> (usize, bool) {
    run(add_while_locked)
}

fn fix() -> (usize, bool) {
    run(add_after_parsing)
}

fn main() {
    // The panics are counted, so their messages are not needed.
    panic::set_hook(Box::new(|_| {}));
    let (panics, poisoned) = mistake();
    println!("mistake: 1 bad text, {panics} threads panicked; the mutex is poisoned: {poisoned}");
    let (panics, poisoned) = fix();
    println!("fix:     1 bad text, {panics} threads panicked; the mutex is poisoned: {poisoned}");
    println!("         `parse()?` before `lock`: it fails without a panic, and without the lock");
    println!("why:     a panic under a lock poisons it: the data may be half changed");
}

#[test]
fn a_panic_under_a_lock_spreads_to_every_later_lock() {
    assert_eq!(mistake(), (1 + THREADS, true));
    assert_eq!(fix(), (0, false));
}
