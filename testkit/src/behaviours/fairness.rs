//! Fairness: many clients that load the server, and one that waits for a reply (rows 42, 46).

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::isolation::BUFFER;
use crate::raw::{Polled, Raw, nonblocking, poll_read};
use crate::{Chat, PATIENCE, peer, system};

/// Forty clients in a room of 5,000 send `/who` as often as the default rate allows. A client in
/// another room gets half of its replies within 20 ms. (42)
pub fn requests_in_a_large_room_do_not_delay_another_room(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut observer = Raw::connect(server.addr).joined("elsewhere");
    let mut idle = Vec::new();
    while idle.len() < 4960 {
        idle.extend((0..124).map(|_| peer::connect(server.addr)));
        // The server greets clients in the order in which they connect.
        let mut last = idle.last().expect("some").try_clone().expect("a file descriptor");
        let greeting = peer::read_line(&mut last);
        assert!(greeting.starts_with("* you are "), "{greeting}");
    }
    let mut clients = nonblocking(Raw::crowd(server.addr, 40));
    let sending = thread::spawn(move || {
        let mut buf = vec![0; BUFFER];
        loop {
            for client in &mut clients {
                // If the socket is full, the client sends its request later.
                let sent = client.write(b"/who\n");
                let sent = sent.map_err(|error| error.kind());
                if sent.is_err_and(|kind| kind != ErrorKind::WouldBlock)
                    || poll_read(client, &mut buf) == Polled::Eof
                {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let latency = observer.round_trips(Duration::from_secs(4));
    assert!(!sending.is_finished(), "a client was disconnected");
    drop(server);
    sending.join().expect("no panic");
    latency.expect(Duration::from_millis(20), Duration::from_secs(1));
}

/// Sends blank lines from all clients, as fast as their sockets accept them, until the server ends.
/// Signals `full` once every socket has been full: from then on all clients have more to send.
fn send_without_pause(mut clients: Vec<TcpStream>, full: Sender<()>) {
    let lines = format!("{}\n", " ".repeat(63)).repeat(128);
    let mut refused = vec![false; clients.len()];
    let mut full = Some(full);
    loop {
        for (client, refused) in clients.iter_mut().zip(&mut refused) {
            match client.write(lines.as_bytes()) {
                Ok(n) => *refused |= n < lines.len(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => *refused = true,
                Err(_) => return,
            }
        }
        if !refused.contains(&false)
            && let Some(full) = full.take()
        {
            // Fails if the test has given up.
            let _ = full.send(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a line every 10 ms until the server ends.
fn send_slowly(client: Raw) -> JoinHandle<()> {
    let mut writer = client.writer();
    thread::spawn(move || {
        // Dropping the client would close its connection.
        let _client = client;
        while writer.write_all(b"x\n").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    })
}

/// While 2,000 clients send without pause, another client is answered within a second, although its
/// own room is active. (46)
///
/// The 2,000 send blank lines, because no server can deliver the lines of 2,000 clients to 2,000
/// clients in time.
pub fn two_thousand_senders_do_not_starve_another_client(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = match chat.step() {
        4 => chat.server_with(&["--max-clients", "3000"]),
        _ => chat.server(),
    };
    let mut senders = Raw::crowd(server.addr, 2000);
    let mut observer = Raw::connect(server.addr);
    // Without rooms, every line would go to all 2,000 clients.
    let sending_slowly = (chat.step() > 4).then(|| {
        for sender in &senders {
            sender.send_line("/join elsewhere");
        }
        for sender in &mut senders {
            sender.round_trip();
        }
        send_slowly(Raw::connect(server.addr))
    });
    let senders = nonblocking(senders);
    for sender in &senders {
        // Otherwise the kernel would hold megabytes for each client.
        let small = SockRef::from(sender).set_send_buffer_size(16 * 1024);
        small.expect("open");
    }
    let (full, filled) = mpsc::channel();
    let sending = thread::spawn(move || send_without_pause(senders, full));
    filled.recv_timeout(2 * PATIENCE).expect("full sockets");
    let started = Instant::now();
    let mut waits = Vec::new();
    while waits.len() < 10 && started.elapsed() < PATIENCE {
        waits.push(observer.round_trip());
    }
    assert!(!sending.is_finished(), "a sender was disconnected");
    drop(server);
    sending.join().expect("no panic");
    sending_slowly.map(JoinHandle::join);
    let longest = waits.iter().max();
    assert!(longest < Some(&Duration::from_secs(1)), "{waits:?}");
}
