//! The number of threads grows although the clients were disconnected.
//!
//! A session has two threads that share a socket. When the writer ends, the reader still waits in
//! `read` until the client sends something, which may never happen. `shutdown(Write)` does not wake
//! the reader, and dropping the writer's `Arc` does not close the socket. `shutdown(Both)` wakes the
//! reader and ends the connection.
//!
//! Avoided in: `step3-multiclient/src/session.rs`, `run`

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

const SESSIONS: usize = 10;

/// Returns how many readers ended.
fn mistake() -> usize {
    disconnect_all(Shutdown::Write, Duration::from_millis(300))
}

fn fix() -> usize {
    disconnect_all(Shutdown::Both, Duration::from_secs(20))
}

/// Counts the readers that end, until none has ended for `limit`.
fn disconnect_all(how: Shutdown, limit: Duration) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (end, on_end) = bounded(SESSIONS);
    // The clients stay connected and send nothing, until this returns.
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let stream = Arc::new(listener.accept().unwrap().0);
        let reader = stream.clone();
        let end = end.clone();
        thread::spawn(move || {
            while (&*reader).read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
            // Fails if `disconnect_all` has returned.
            let _ = end.send(());
        });
        let writer = thread::spawn(move || {
            (&*stream).write_all(b"* goodbye\n")?;
            stream.shutdown(how)
        });
        writer.join().unwrap().unwrap();
    }
    (0..SESSIONS).take_while(|_| on_end.recv_timeout(limit).is_ok()).count()
}

fn main() {
    println!("mistake: all {SESSIONS} writers have ended, but {} readers", mistake());
    println!("fix:     after `shutdown(Both)`, {} of {SESSIONS} readers have ended", fix());
    println!(
        "why:     the reader waits in `read` for a silent client, until its read side is shut"
    );
}

#[test]
fn a_reader_ends_with_its_writer_after_shutdown_both() {
    assert_eq!((mistake(), fix()), (0, SESSIONS));
}
