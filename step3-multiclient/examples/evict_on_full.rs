//! Healthy clients are disconnected during a burst: `try_send` fails, and the hub evicts them.
//!
//! A full outbox does not mean a slow client: perhaps its writer thread has not run yet. So wait in
//! `send`, and let the writer decide. If one write takes too long, the writer drops its receiver,
//! which ends the wait.
//!
//! Avoided in: `step3-multiclient/src/hub.rs`, `deliver_batch`

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use socket2::SockRef;

const OUTBOX: usize = 16;
/// More lines than small socket buffers hold.
const BURST: usize = 200;
/// How long the socket may take to accept a line.
const DEADLINE: Duration = Duration::from_secs(1);

type Line = [u8; 1024];

/// Returns how many lines the socket of a client that reads accepts.
fn mistake() -> usize {
    burst(true, |_outbox, _line| false)
}

fn fix(client_reads: bool) -> usize {
    burst(client_reads, |outbox, line| outbox.send(line).is_ok())
}

/// Sends a burst to one client. `on_full` returns whether the client may stay.
fn burst(client_reads: bool, on_full: fn(&Sender<Line>, Line) -> bool) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let _never_read = if client_reads {
        thread::spawn(move || io::copy(&mut client, &mut io::sink()));
        None
    } else {
        SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
        Some(client)
    };
    let (outbox, queued) = bounded(OUTBOX);
    let (full, on_first_full) = bounded::<()>(0);
    let writer = thread::spawn(move || {
        // The race window: this thread does not run before the outbox is full.
        let _ = on_first_full.recv();
        // One call for each line, since the timeout is for one call.
        let mut written = |line: &Line| stream.write(line).is_ok_and(|n| n == line.len());
        queued.iter().take_while(&mut written).count()
    });
    let mut full = Some(full);
    let _evicted = !(0..BURST).all(|_| match outbox.try_send([b'x'; 1024]) {
        Err(TrySendError::Full(line)) => {
            full = None;
            on_full(&outbox, line)
        }
        sent => sent.is_ok(),
    });
    drop(outbox);
    writer.join().unwrap()
}

fn main() {
    println!("mistake: a client that reads was sent {} of {BURST} lines", mistake());
    println!("fix:     a client that reads was sent {} of {BURST} lines", fix(true));
    println!("         a client that never reads was evicted after {} lines", fix(false));
    println!("why:     only a deadline tells a slow client from a writer that has not run yet");
}

#[test]
fn a_burst_evicts_no_client_that_reads() {
    assert_eq!((mistake(), fix(true)), (OUTBOX, BURST));
    assert!(fix(false) < BURST);
}
