//! Several worker threads share one `Receiver`, but only one of them works at a time.
//!
//! In `while let Ok(job) = jobs.lock().unwrap().recv() { .. }` the guard is a temporary that lives to
//! the end of the loop body, in edition 2024 too. In step 1 each receiver has one owner: no lock.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const WORKERS: usize = 2;
const LIMIT: Duration = Duration::from_millis(300);
const END: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce() + Send>;
type Jobs = Mutex<Receiver<Job>>;

fn work_while_locked(jobs: &Jobs) {
    while let Ok(job) = jobs.lock().unwrap().recv() {
        job();
    }
}

fn work_after_unlock(jobs: &Jobs) {
    loop {
        let Ok(job) = jobs.lock().unwrap().recv() else { return }; // The guard is dropped here.
        job();
    }
}

/// Returns how many of two jobs run at once, and whether the lock is held meanwhile.
fn run(work: fn(&Jobs), limit: Duration) -> (usize, bool) {
    let (tx, rx) = mpsc::channel::<Job>();
    let jobs = Arc::new(Mutex::new(rx));
    let (started, on_started) = mpsc::channel();
    // No job ends before all of them and this function have arrived here.
    let all_started = Arc::new(Barrier::new(WORKERS + 1));
    for _ in 0..WORKERS {
        let (started, all_started, jobs) = (started.clone(), all_started.clone(), jobs.clone());
        let job = move || {
            started.send(()).unwrap();
            all_started.wait();
        };
        tx.send(Box::new(job)).unwrap();
        // Without a partner, a worker stays blocked until the process ends.
        thread::spawn(move || work(&jobs));
    }
    on_started.recv_timeout(END).unwrap();
    let running = 1 + usize::from(on_started.recv_timeout(limit).is_ok());
    let locked = jobs.try_lock().is_err();
    if running == WORKERS {
        all_started.wait();
    }
    (running, locked)
}

fn mistake() -> (usize, bool) {
    run(work_while_locked, LIMIT)
}

fn fix() -> (usize, bool) {
    run(work_after_unlock, END)
}

fn main() {
    let (running, locked) = mistake();
    println!("mistake: {running} of {WORKERS} workers runs a job; the lock is held: {locked}");
    let (running, locked) = fix();
    println!("fix:     {running} of {WORKERS} workers run a job; the lock is held: {locked}");
    println!("         `let Ok(job) = ... else` drops the guard before the job runs");
    println!("why:     the temporaries of `while let` live to the end of the loop body");
}

#[test]
fn a_guard_in_while_let_is_held_through_the_loop_body() {
    assert_eq!(mistake(), (1, true));
    assert_eq!(fix(), (WORKERS, false));
}
