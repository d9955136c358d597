//! Many clients that ask for much, and another that wants an answer (rows 42, 46).

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::isolation::BUFFER;
use crate::raw::{Raw, Taken, nonblocking, take};
use crate::{Chat, PATIENCE, peer, system};

/// Forty clients in a room of 5,000 ask for `/who` as often as the default rate allows. A client of
/// another room is answered within 20 ms, half of the time. (42)
pub fn requests_in_a_large_room_delay_nobody(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut observer = Raw::connect(server.addr).joined("elsewhere");
    let mut idle = Vec::new();
    while idle.len() < 4960 {
        idle.extend((0..124).map(|_| peer::connect(server.addr)));
        // The server greets in the order of arrival.
        let mut last = idle.last().expect("some").try_clone().expect("a descriptor");
        let greeting = peer::read_line(&mut last);
        assert!(greeting.starts_with("* you are "), "{greeting}");
    }
    let mut askers = nonblocking(Raw::crowd(server.addr, 40));
    let asking = thread::spawn(move || {
        let mut buf = vec![0; BUFFER];
        loop {
            for asker in &mut askers {
                // A full socket is a question that is asked later.
                let asked = asker.write(b"/who\n");
                let asked = asked.map_err(|error| error.kind());
                if asked.is_err_and(|kind| kind != ErrorKind::WouldBlock)
                    || take(asker, &mut buf) == Taken::End
                {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let latency = observer.round_trips(Duration::from_secs(4));
    assert!(!asking.is_finished(), "an asker was disconnected");
    drop(server);
    asking.join().expect("no panic");
    latency.expect(Duration::from_millis(20), Duration::from_secs(1));
}

/// Sends blank lines from all clients, whenever their sockets take them, until the server ends.
/// `full` is told once every socket has refused some: from then on all have more to send.
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
            // Fails if the test has failed.
            let _ = full.send(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Says a line every 10 ms until the server ends.
fn talk_at_ease(talker: Raw) -> JoinHandle<()> {
    let mut writer = talker.writer();
    thread::spawn(move || {
        // The talker has to outlive its last line.
        let _talker = talker;
        while writer.write_all(b"x\n").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    })
}

/// 2,000 clients send without pause, and another is answered within a second, though there is talk
/// in its room. The 2,000 send blank lines, since nothing can send 2,000 clients' lines to 2,000
/// clients in time. (46)
pub fn two_thousand_senders_leave_room_for_another(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = match chat.step() {
        4 => chat.server_with(&["--max-clients", "3000"]),
        _ => chat.server(),
    };
    let mut senders = Raw::crowd(server.addr, 2000);
    let mut observer = Raw::connect(server.addr);
    // Without rooms, all 2,000 would be told.
    let talking = (chat.step() > 4).then(|| {
        for sender in &senders {
            sender.say("/join elsewhere");
        }
        for sender in &mut senders {
            sender.round_trip();
        }
        talk_at_ease(Raw::connect(server.addr))
    });
    let senders = nonblocking(senders);
    for sender in &senders {
        // Megabytes for each of them would be waiting in the kernel.
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
    talking.map(JoinHandle::join);
    let longest = waits.iter().max();
    assert!(longest < Some(&Duration::from_secs(1)), "{waits:?}");
}
