//! Limits: line length, clients, file descriptors (rows 8, 17 to 19, 33).

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::slots::join_when_free;
use crate::process::{End, Process};
use crate::{Chat, PATIENCE, Peer, Server, best_of_three, peer, system};

/// A client that sends an unterminated line is disconnected early and costs little memory; other
/// clients are served. (8)
pub fn an_unterminated_line_ends_the_connection(chat: &Chat) {
    let mut pair = chat.pair();
    let before = system::memory(pair.server.process.id());
    let mut writer = pair.sender.writer();
    let chunk = vec![b'x'; 1 << 20];
    let accepted = (0..100).take_while(|_| writer.write_all(&chunk).is_ok()).count();
    assert!(accepted < 100, "the server accepted 100 MiB");
    if let Some(before) = before
        && let Some(peak) = system::peak_memory(pair.server.process.id())
    {
        assert!(peak < before + (16 << 20), "from {before} to {peak} bytes");
    }
    if chat.step() == 2 {
        assert_eq!(pair.server.process.exit(), 1);
        return;
    }
    let disconnected = Instant::now();
    let mut other = pair.server.peer();
    other.send_line("next");
    let line = format!("{}: next", other.name);
    pair.received().expect_after_notices(&line);
    let took = disconnected.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Connections that were closed leak neither threads nor file descriptors. (17)
pub fn closed_connections_leak_no_threads_or_descriptors(chat: &Chat) {
    let server = chat.server();
    let mut ann = server.peer();
    let pid = server.process.id();
    let usage = || [system::threads(pid), system::descriptors(pid)];
    let before = usage();
    let more = |now: &[Option<usize>]| now.iter().zip(&before).any(|(now, before)| now > before);
    for n in 0..1000 {
        let stream = peer::connect(server.addr);
        if n % 3 == 0 {
            peer::reset(&stream);
        }
        if n % 100 == 99 {
            ann.sync();
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while more(&usage()) {
        assert!(Instant::now() < deadline, "{before:?} became {:?}", usage());
        thread::sleep(Duration::from_millis(10));
    }
    ann.sync();
}

/// The number of clients that a join or leave notice names and counts.
pub(super) fn count_in_notice(line: &str, verb: &str) -> usize {
    let names = line.strip_prefix("* ");
    let names = names.and_then(|names| names.strip_suffix(verb)?.strip_suffix(' '));
    let Some(names) = names else {
        return 0;
    };
    let (names, more) = names.split_once(" and ").unwrap_or((names, "0"));
    let more = more.strip_suffix(" more").unwrap_or(more);
    names.split(", ").count() + more.parse::<usize>().expect("a number")
}

/// A server without free file descriptors keeps running, uses little processor time and logs
/// little. It accepts clients again once descriptors are free. (18)
#[cfg(unix)]
pub fn a_server_survives_running_out_of_file_descriptors(chat: &Chat) {
    let mut command = chat.command_after("ulimit -n 64", &["server", "127.0.0.1:0"]);
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Piped));
    let mut first = server.peer();
    let crowd = peer::crowd(server.addr, 200);
    let joined = Cell::new(0);
    first.lines.until("join notices", |line| {
        joined.set(joined.get() + count_in_notice(line, "joined"));
        joined.get() >= 25
    });
    let pid = server.process.id();
    if system::ticks(pid).is_some() {
        // Ten ticks of 10 ms in a second are a tenth of a core.
        best_of_three(10, || system::ticks_in(pid, Duration::from_secs(1)));
    }
    assert!(server.process.is_running());
    drop(crowd);
    let dropped = Instant::now();
    let mut peer = server.peer();
    assert!(dropped.elapsed() < Duration::from_secs(2), "{:?}", dropped.elapsed());
    peer.sync();
    let stderr = server.process.stderr_text();
    assert!(stderr.lines().count() < 12, "{stderr}");
    server.process.type_line("/exit");
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}

/// A client over `--max-clients` is refused with the reason. It is accepted once another client has
/// closed its socket. (19)
pub fn a_client_over_the_limit_is_refused(chat: &Chat) {
    let server = chat.server_with(&["--max-clients", "2"]);
    let mut ann = server.peer();
    let mut bob = server.peer();
    for eager in [false, true] {
        let mut late = Peer::ungreeted(server.addr);
        if eager {
            // Unread input must not cause a reset that destroys the refusal. Sending may fail.
            let _ = late.writer().write_all("hello\n".repeat(1000).as_bytes());
        }
        assert_eq!(late.lines.rest(), ["! server is full"]);
        let mut client = chat.client(server.addr);
        assert_eq!(client.stdout.rest(), ["! server is full"]);
        assert_eq!(client.exit(), 1);
        assert_eq!(client.stderr_text().lines().count(), 1);
    }
    for _ in 0..20 {
        bob.send_line("/exit");
        assert_eq!(bob.lines.rest().last().unwrap(), "* goodbye");
        drop(bob);
        bob = join_when_free(&server);
    }
    ann.sync();
}

/// Ten thousand clients are connected, and a line from one reaches all of them. (33)
#[cfg(unix)]
pub fn ten_thousand_idle_clients_are_served(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server();
    let mut crowd = Vec::new();
    while crowd.len() < 9_999 {
        let size = 100.min(9_999 - crowd.len());
        crowd.extend((0..size).map(|_| peer::connect(server.addr)));
        // The server greets clients in the order in which they connect.
        let mut last = crowd.last().unwrap().try_clone().unwrap();
        let greeting = peer::read_line(&mut last);
        assert!(greeting.starts_with("* you are "), "{greeting}");
    }
    let mut sender = server.peer();
    sender.send_line("hello, everybody");
    let hello = format!("{}: hello, everybody", sender.name);
    for stream in crowd {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.any(|line| line.unwrap() == hello), "EOF before the line");
    }
    let mut late = Peer::ungreeted(server.addr);
    match late.lines.next().unwrap() {
        greeting if greeting.starts_with("* you are ") => {}
        refusal => assert_eq!(refusal, "! server is full"),
    }
}
