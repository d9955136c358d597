//! Two clients have the same name, although the server checks whether a name is taken.
//!
//! The check and the insertion lock the mutex separately. Between them, another thread can do the
//! same. Do both under one lock, or let an actor own the names: it handles one request at a time.
//!
//! Avoided in: `step5-broadcast/src/commands.rs`, `nick`

use std::collections::HashSet;
use std::sync::{Barrier, Mutex};
use std::thread;

use crossbeam_channel::{Sender, bounded};

/// Returns how many clients get the name.
fn mistake() -> usize {
    let (names, window) = (Mutex::new(HashSet::new()), Barrier::new(2));
    count(|| {
        let taken = names.lock().unwrap().contains("ann");
        // The race window: both clients have checked, and neither has inserted.
        window.wait();
        if !taken {
            names.lock().unwrap().insert("ann");
        }
        !taken
    })
}

fn fix_with_one_lock() -> usize {
    let (names, window) = (Mutex::new(HashSet::new()), Barrier::new(2));
    count(|| {
        window.wait();
        // `insert` is the check, too: it returns whether the name was free.
        names.lock().unwrap().insert("ann")
    })
}

fn fix_with_an_actor() -> usize {
    let (requests, inbox) = bounded::<(&str, Sender<bool>)>(2);
    thread::spawn(move || {
        // No other thread has access to the names, so they need no lock.
        let mut names = HashSet::new();
        while let Ok((name, reply)) = inbox.recv() {
            reply.send(names.insert(name)).unwrap();
        }
    });
    let window = Barrier::new(2);
    count(|| {
        let (reply, on_reply) = bounded(1);
        window.wait();
        requests.send(("ann", reply)).unwrap();
        on_reply.recv().unwrap()
    })
}

/// Two clients request the name at the same time. Returns how many get it.
fn count(request: impl Fn() -> bool + Sync) -> usize {
    thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(&request));
        clients.into_iter().map(|client| usize::from(client.join().unwrap())).sum()
    })
}

fn main() {
    println!("mistake: {} clients are called ann: both checked before either inserted", mistake());
    println!(
        "fix:     {} client is: one lock for the check and the insertion",
        fix_with_one_lock()
    );
    println!("         {} client is: an actor owns the names", fix_with_an_actor());
    println!("why:     between two lock scopes, another thread can change what you checked");
}

#[test]
fn one_lock_or_an_actor_gives_a_name_to_one_client() {
    assert_eq!((mistake(), fix_with_one_lock(), fix_with_an_actor()), (2, 1, 1));
}
