//! One slow client silences the whole chat: no other client receives a line.
//!
//! The hub writes to the sockets itself. When a client does not read, its socket fills up, and the
//! hub waits in `write_all`. With an outbox and a writer thread for each client, only that client's
//! thread waits.
//!
//! Avoided in: `step3-multiclient/src/session.rs`, `run`

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use socket2::SockRef;

/// Far more than a connection buffers.
const LINES: usize = 1000;
static LINE: [u8; 1024] = [b'x'; 1024];

/// Returns how many lines the healthy client receives.
fn mistake() -> usize {
    chat(Duration::from_millis(300), |mut clients| {
        for _ in 0..LINES {
            for client in &mut clients {
                // Waits here for the slow client. Fails when that client is gone.
                if client.write_all(&LINE).is_err() {
                    return;
                }
            }
        }
    })
}

fn fix() -> usize {
    chat(Duration::from_secs(20), |clients| {
        let outboxes = clients.map(|mut client| {
            // Has space for all lines. What to do with a full outbox: see `evict_on_full`.
            let (sender, outbox) = bounded(LINES);
            thread::spawn(move || {
                while let Ok(line) = outbox.recv()
                    && client.write_all(line).is_ok()
                {}
            });
            sender
        });
        for _ in 0..LINES {
            for outbox in &outboxes {
                // Fails if the client is gone.
                let _ = outbox.send(&LINE);
            }
        }
    })
}

/// Connects a client that never reads and a healthy one. Stops after a silence of `limit`.
fn chat(limit: Duration, hub: impl FnOnce([TcpStream; 2]) + Send + 'static) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (slow, mut healthy) = (connect(), connect());
    let clients = [(); 2].map(|()| listener.accept().unwrap().0);
    SockRef::from(&slow).set_recv_buffer_size(4096).unwrap();
    SockRef::from(&clients[0]).set_send_buffer_size(4096).unwrap();
    thread::spawn(move || hub(clients));
    healthy.set_read_timeout(Some(limit)).unwrap();
    let mut line = LINE;
    (0..LINES).take_while(|_| healthy.read_exact(&mut line).is_ok()).count()
}

fn main() {
    println!("mistake: the healthy client received {} of {LINES} lines, then silence", mistake());
    println!("fix:     the healthy client received {} of {LINES} lines", fix());
    println!("why:     a thread that writes to all sockets is as slow as the slowest client");
}

#[test]
fn only_a_writer_thread_waits_for_a_slow_client() {
    assert!(mistake() < LINES);
    assert_eq!(fix(), LINES);
}
