//! The program is done, but it ends only after you press Enter: it used `tokio::io::stdin`.
//!
//! Tokio reads stdin on a thread of its blocking pool. Nothing can cancel that read, and a runtime
//! that ends waits for it. A thread of our own can be abandoned.
//!
//! Avoided in: `step4-tokio/src/console.rs`, `Console::open`

use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc::channel;
use tokio::{select, time};

/// The variable that tells a child process, which is this program again, how to read stdin.
const READ: &str = "READ_STDIN_ON";

/// Reads the keyboard on Tokio or on a thread, until the server says goodbye.
#[tokio::main(flavor = "current_thread")]
async fn chat(on: &str) {
    let goodbye = time::sleep(Duration::from_millis(10));
    if on == "tokio" {
        let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
        select! { _ = lines.next_line() => {}, () = goodbye => {} }
    } else {
        let (typed, mut lines) = channel(1);
        thread::spawn(move || io::stdin().lines().try_for_each(|line| typed.blocking_send(line)));
        select! { _ = lines.recv() => {}, () = goodbye => {} }
    }
    println!("the chat is over");
}

/// Returns the status of a child `limit` after its chat is over: `None` if it still runs.
fn status(on: &str, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut child = Command::new(env::current_exe()?)
        .args(["--exact", "tokio_stdin_keeps_the_process_alive", "--nocapture"])
        .env(READ, on)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    while !output.next().expect("a child that lives")?.ends_with("the chat is over") {}
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let status = child.try_wait()?;
    // No error if the child has ended.
    child.kill()?;
    child.wait()?;
    Ok(status)
}

fn mistake() -> Option<ExitStatus> {
    status("tokio", Duration::from_millis(300)).expect("a child process")
}

fn fix() -> Option<ExitStatus> {
    status("thread", Duration::from_secs(20)).expect("a child process")
}

fn main() {
    if let Ok(on) = env::var(READ) {
        return chat(&on);
    }
    println!("mistake: 300 ms after its chat was over, the process still runs ({:?})", mistake());
    println!("fix:     the process has ended ({:?})", fix());
    println!("why:     a runtime that ends waits for its blocking threads, and one reads stdin");
}

#[test]
fn tokio_stdin_keeps_the_process_alive() {
    if let Ok(on) = env::var(READ) {
        return chat(&on);
    }
    assert_eq!(mistake(), None);
    assert!(fix().is_some_and(|status| status.success()));
}
