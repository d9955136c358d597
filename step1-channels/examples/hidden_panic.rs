//! The program ends with success, although a thread has panicked and half of the output is missing.
//!
//! A panic ends only its own thread, and `join` returns it. If the `JoinHandle` is dropped, all that
//! is left is a message on stderr: to the receiver, the closed channel looks like an orderly end.
//!
//! Avoided in: `step1-channels/src/client.rs`, `run`

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// Two lines, then a panic.
fn produce(tx: &Sender<String>) {
    for text in ["1", "2", "three", "4"] {
        let number: u32 = text.parse().unwrap();
        tx.send(format!("line {number}")).unwrap();
    }
}

fn receive(rx: &Receiver<String>) -> usize {
    rx.iter().count()
}

fn mistake() -> Result<usize, String> {
    let (tx, rx) = mpsc::channel();
    // The handle is dropped: the thread is detached.
    thread::spawn(move || produce(&tx));
    Ok(receive(&rx))
}

fn fix() -> Result<usize, String> {
    let (tx, rx) = mpsc::channel();
    let producer = thread::spawn(move || produce(&tx));
    let lines = receive(&rx);
    match producer.join() {
        Ok(()) => Ok(lines),
        Err(_) => Err(format!("the producer panicked after {lines} lines")),
    }
}

fn main() {
    println!("mistake: {:?}: two lines are missing, and the program does not know", mistake());
    println!("fix:     {:?}: `join` returns the panic", fix());
    println!("why:     a panic ends only its thread; `join` is where it is reported");
}

#[test]
fn only_join_reports_a_panic() {
    assert_eq!(mistake(), Ok(2));
    assert_eq!(fix(), Err(String::from("the producer panicked after 2 lines")));
}
