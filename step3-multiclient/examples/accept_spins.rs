//! The server uses 100 % of a core when it runs out of file descriptors ("Too many open files").
//!
//! `accept` fails with EMFILE at once, and the connection stays in the backlog, so the next
//! `accept` fails, too. Pause after an error, and double the pause with each error that follows.
//!
//! Avoided in: `step3-multiclient/src/accept.rs`, `run`

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, iter, thread};

/// Tells a child process which accept loop to run.
const CHILD: &str = "ACCEPT_SPINS";

/// Returns how many times `accept` failed.
fn mistake() -> usize {
    in_child("mistake")
}

fn fix() -> usize {
    in_child("fix")
}

/// Runs this program again with at most 16 file descriptors. The limit holds for a whole process.
fn in_child(accept_loop: &str) -> usize {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 16; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        // For the test program; the example itself takes no arguments.
        .args(["--exact", "a_pause_keeps_accept_from_spinning", "--nocapture"])
        .env(CHILD, accept_loop)
        .output();
    String::from_utf8(output.unwrap().stderr).unwrap().trim().parse().unwrap()
}

/// In a child process, runs the accept loop, and prints the result to stderr.
fn is_child() -> bool {
    let child = env::var(CHILD);
    if let Ok(accept_loop) = &child {
        eprintln!("{}", count_errors(accept_loop == "fix"));
    }
    child.is_ok()
}

fn count_errors(pauses: bool) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut files: Vec<_> = iter::from_fn(|| listener.try_clone().ok()).collect();
    // Leaves one file descriptor for the client, and none for the connection at the server.
    files.pop();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (start, mut pause, mut errors) = (Instant::now(), Duration::from_millis(10), 0);
    while start.elapsed() < Duration::from_millis(100) && listener.accept().is_err() {
        errors += 1;
        if pauses {
            thread::sleep(pause);
            pause *= 2;
        }
    }
    drop(files);
    listener.accept().expect("the client is still in the backlog");
    errors
}

fn main() {
    if !is_child() {
        println!("mistake: `accept` failed {} times in 100 ms, so a core was busy", mistake());
        println!("fix:     it failed {} times: the loop pauses for 10, 20, 40, 80 ms", fix());
        println!("why:     EMFILE leaves the connection in the backlog, so `accept` fails at once");
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs `ulimit`")]
fn a_pause_keeps_accept_from_spinning() {
    if !is_child() {
        assert!((1..10).contains(&fix()));
        assert!(mistake() > 100);
    }
}
