//! Lagging clients, which do not keep up with their room (rows 39, 40, 44).

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::slow::{Account, numbered};
use crate::raw::Raw;
use crate::{Chat, Server};

/// More lines than all socket buffers can hold.
const LINES: usize = 16_000;

/// Sends `end` numbered lines, or fewer if the server ends. Returns their number.
fn flood(sender: &Raw, end: usize) -> usize {
    let mut writer = sender.writer();
    for n in (0..end).step_by(16) {
        let lines: String = (n..n + 16).map(numbered).collect();
        if writer.write_all(lines.as_bytes()).is_err() {
            return n;
        }
    }
    end
}

/// Short stalls cost no line, although a long one has used up most of the stall budget before. (39)
pub fn short_stalls_after_a_long_one_cost_no_line(chat: &Chat) {
    let server = chat.server();
    let mut reader = Raw::slow(server.addr);
    let sender = Raw::connect(server.addr);
    let name = sender.name.clone();
    let flooding = thread::spawn(move || flood(&sender, usize::MAX));
    let mut account = Account::default();
    for stall in [[0, 400].as_slice(), &[150; 12]].concat() {
        thread::sleep(Duration::from_millis(stall));
        let (since, before) = (Instant::now(), account.received);
        while since.elapsed() < Duration::from_millis(80) || account.received < before + 1000 {
            let line = reader.next().expect("a client that stays connected");
            account.add(&line, &name);
        }
        assert_eq!(account.missed, 0, "lines missed after a stall of {stall} ms");
    }
    drop(server);
    flooding.join().expect("no panic");
}

/// A lagging client, and the flooder that has sent it [`LINES`] lines.
fn lagging(server: &Server) -> (Raw, Raw) {
    let lagging = Raw::slow(server.addr);
    let mut flooder = Raw::connect(server.addr);
    flood(&flooder, LINES);
    // After the reply, the server has handled all lines and no longer waits for the client.
    flooder.round_trip();
    (lagging, flooder)
}

/// Private messages to a lagging client are queued in order. Messages over the limit are an error
/// to the sender; every acknowledged message arrives. (40)
pub fn messages_to_a_lagging_client_are_queued(chat: &Chat) {
    for length in [50, 1000] {
        let server = chat.server();
        let (mut lagging, flooder) = lagging(&server);
        let mut sender = Raw::connect(server.addr);
        let text = |n: usize| format!("{n:04}{}", "x".repeat(length - 4));
        let messages = (0..300).map(|n| format!("/msg {} {}\n", lagging.name, text(n)));
        sender.send(messages.collect::<String>());
        let acknowledgement = format!("* to {}: ", lagging.name);
        let mut acknowledged = Vec::new();
        for n in 0..300 {
            let reply = sender.until("a reply", |line| {
                line.starts_with(&acknowledgement) || line.starts_with("! ")
            });
            if let Some(sent) = reply.strip_prefix(&acknowledgement) {
                assert_eq!(sent, text(n));
                acknowledged.push(text(n));
            }
        }
        // The queue holds 64 KiB.
        match length {
            50 => assert_eq!(acknowledged.len(), 300),
            _ => assert!((32..128).contains(&acknowledged.len()), "{acknowledged:?}"),
        }
        let private = format!("{} (private): ", sender.name);
        let mut account = Account::default();
        let mut received = Vec::new();
        while account.received + account.missed < LINES || received.len() < acknowledged.len() {
            let line = lagging.next().expect("a client that stays connected");
            match line.strip_prefix(&private) {
                Some(message) => received.push(message.to_owned()),
                None => account.add(&line, &flooder.name),
            }
        }
        assert!(account.missed > 0, "the client did not lag");
        assert_eq!(received, acknowledged);
        // The client accepts messages again, and the next one is the new one.
        sender.send_line(&format!("/msg {} last", lagging.name));
        let last = lagging.until("a message", |line| line.starts_with(&private));
        assert_eq!(last, format!("{private}last"));
    }
}

/// A client that lags at shutdown receives the number of missed lines, and then the goodbye. (44)
pub fn a_lagging_client_receives_the_missed_count_at_shutdown(chat: &Chat) {
    let mut server = chat.server();
    let (mut lagging, flooder) = lagging(&server);
    server.process.type_line("/exit");
    let mut account = Account::default();
    let mut last = String::new();
    while let Some(line) = lagging.next() {
        account.add(&line, &flooder.name);
        last = line;
    }
    assert_eq!(last, "* goodbye");
    assert!(account.received < LINES, "the client did not lag");
    assert_eq!(account.received + account.missed, LINES);
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}
