//! What a client reads that does not keep up with its room (rows 39, 40, 44).

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::slow::{Account, numbered};
use crate::raw::Raw;
use crate::{Chat, Server};

/// More lines than all socket buffers hold.
const LINES: usize = 16_000;

/// Says numbered lines until `end`, or until the server ends. Gives how many.
fn talk(talker: &Raw, end: usize) -> usize {
    let mut writer = talker.writer();
    for n in (0..end).step_by(16) {
        let lines: String = (n..n + 16).map(numbered).collect();
        if writer.write_all(lines.as_bytes()).is_err() {
            return n;
        }
    }
    end
}

/// Short stops after a long one, which has used up most of the stall budget, lose no line. (39)
pub fn short_stops_after_a_long_one_lose_no_line(chat: &Chat) {
    let server = chat.server();
    let mut reader = Raw::slow(server.addr);
    let talker = Raw::connect(server.addr);
    let name = talker.name.clone();
    let talking = thread::spawn(move || talk(&talker, usize::MAX));
    let mut account = Account::default();
    for stop in [[0, 400].as_slice(), &[150; 12]].concat() {
        thread::sleep(Duration::from_millis(stop));
        let (since, before) = (Instant::now(), account.received);
        while since.elapsed() < Duration::from_millis(80) || account.received < before + 1000 {
            let line = reader.next().expect("a client that reads stays");
            account.take(&line, &name);
        }
        assert_eq!(account.missed, 0, "lines missed after a stop of {stop} ms");
    }
    drop(server);
    talking.join().expect("no panic");
}

/// A client that lags, and the talker that has said [`LINES`] lines to it.
fn lagging(server: &Server) -> (Raw, Raw) {
    let lagging = Raw::slow(server.addr);
    let mut talker = Raw::connect(server.addr);
    talk(&talker, LINES);
    // The room has heard all of them, so it does not wait for the client any more.
    talker.round_trip();
    (lagging, talker)
}

/// Messages to a client that lags wait for it, in order; it stays. What exceeds the bound is an
/// error to the sender, and nothing that was acknowledged is lost. (40)
pub fn messages_wait_for_a_lagging_client(chat: &Chat) {
    for length in [50, 1000] {
        let server = chat.server();
        let (mut lagging, talker) = lagging(&server);
        let mut sender = Raw::connect(server.addr);
        let text = |n: usize| format!("{n:04}{}", "x".repeat(length - 4));
        let messages = (0..300).map(|n| format!("/msg {} {}\n", lagging.name, text(n)));
        sender.send(messages.collect::<String>());
        let acknowledgement = format!("* to {}: ", lagging.name);
        let mut acknowledged = Vec::new();
        for n in 0..300 {
            let answer = sender.until("an answer", |line| {
                line.starts_with(&acknowledgement) || line.starts_with("! ")
            });
            if let Some(sent) = answer.strip_prefix(&acknowledgement) {
                assert_eq!(sent, text(n));
                acknowledged.push(text(n));
            }
        }
        // 64 KiB are kept.
        match length {
            50 => assert_eq!(acknowledged.len(), 300),
            _ => assert!((32..128).contains(&acknowledged.len()), "{acknowledged:?}"),
        }
        let private = format!("{} (private): ", sender.name);
        let mut account = Account::default();
        let mut received = Vec::new();
        while account.received + account.missed < LINES || received.len() < acknowledged.len() {
            let line = lagging.next().expect("a lagging client stays");
            match line.strip_prefix(&private) {
                Some(message) => received.push(message.to_owned()),
                None => account.take(&line, &talker.name),
            }
        }
        assert!(account.missed > 0, "the client did not lag");
        assert_eq!(received, acknowledged);
        // It takes messages again, and there is no other between.
        sender.say(&format!("/msg {} last", lagging.name));
        let last = lagging.until("a message", |line| line.starts_with(&private));
        assert_eq!(last, format!("{private}last"));
    }
}

/// A client that lags when the server ends is told how many lines it missed, and then goodbye. (44)
pub fn a_lagging_client_is_told_what_it_missed_at_the_end(chat: &Chat) {
    let mut server = chat.server();
    let (mut lagging, talker) = lagging(&server);
    server.process.type_line("/exit");
    let mut account = Account::default();
    let mut last = String::new();
    while let Some(line) = lagging.next() {
        account.take(&line, &talker.name);
        last = line;
    }
    assert_eq!(last, "* goodbye");
    assert!(account.received < LINES, "the client did not lag");
    assert_eq!(account.received + account.missed, LINES);
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}
