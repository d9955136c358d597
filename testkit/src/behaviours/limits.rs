//! What is refused, and what runs out (rows 8, 17 to 19).

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::slots::let_in;
use crate::process::{End, Process};
use crate::{Chat, PATIENCE, Peer, Server, best_of_three, peer, system};

/// A line that never ends is cut early, at no cost in memory, and the others are served. (8)
pub fn an_endless_line_is_cut(chat: &Chat) {
    let mut pair = chat.pair();
    let before = system::memory(pair.server.process.id());
    let mut endless = pair.speaker.writer();
    let chunk = vec![b'x'; 1 << 20];
    let taken = (0..100).take_while(|_| endless.write_all(&chunk).is_ok()).count();
    assert!(taken < 100, "100 MiB were taken");
    if let Some(before) = before
        && let Some(peak) = system::peak_memory(pair.server.process.id())
    {
        assert!(peak < before + (16 << 20), "from {before} to {peak} bytes");
    }
    if chat.step() == 2 {
        assert_eq!(pair.server.process.exit(), 1);
        return;
    }
    let cut = Instant::now();
    let mut other = pair.server.peer();
    other.say("next");
    let line = format!("{}: next", other.name);
    pair.ears().hear(&line);
    assert!(cut.elapsed() < Duration::from_secs(1), "{:?}", cut.elapsed());
}

/// Clients that come and go leave nothing behind. (17)
pub fn connects_leave_no_trace(chat: &Chat) {
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

/// How many a notice says to have joined or left.
pub(super) fn told(line: &str, verb: &str) -> usize {
    let names = line.strip_prefix("* ");
    let names = names.and_then(|names| names.strip_suffix(verb)?.strip_suffix(' '));
    let Some(names) = names else {
        return 0;
    };
    let (names, more) = names.split_once(" and ").unwrap_or((names, "0"));
    let more = more.strip_suffix(" more").unwrap_or(more);
    names.split(", ").count() + more.parse::<usize>().expect("a number")
}

/// With no descriptors left a server neither ends nor spins nor babbles, and it serves again once
/// there are some. (18)
#[cfg(unix)]
pub fn running_out_of_descriptors_is_survived(chat: &Chat) {
    let mut command = chat.command_after("ulimit -n 64", &["server", "127.0.0.1:0"]);
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Piped));
    let mut first = server.peer();
    let crowd = peer::crowd(server.addr, 200);
    let joined = Cell::new(0);
    first.lines.until("a crowd", |line| {
        joined.set(joined.get() + told(line, "joined"));
        joined.get() >= 25
    });
    let pid = server.process.id();
    if system::ticks(pid).is_some() {
        // In ticks of 10 ms: a tenth of a core.
        best_of_three(10, || system::ticks_in(pid, Duration::from_secs(1)));
    }
    assert!(server.process.is_running());
    drop(crowd);
    let gone = Instant::now();
    let mut peer = server.peer();
    assert!(gone.elapsed() < Duration::from_secs(2), "{:?}", gone.elapsed());
    peer.sync();
    let complaints = server.process.complaints();
    assert!(complaints.lines().count() < 12, "{complaints}");
    server.process.type_line("/exit");
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}

/// One client more than `--max-clients` is told so, and closed; when another has closed its socket
/// there is room. (19)
pub fn one_too_many_is_told(chat: &Chat) {
    let server = chat.server_with(&["--max-clients", "2"]);
    let mut ann = server.peer();
    let mut bob = server.peer();
    for eager in [false, true] {
        let mut late = Peer::ungreeted(server.addr);
        if eager {
            // Input that nobody reads must not destroy the answer. Sending may fail by then.
            let _ = late.writer().write_all("hello\n".repeat(1000).as_bytes());
        }
        assert_eq!(late.lines.rest(), ["! server is full"]);
        let mut client = chat.client(server.addr);
        assert_eq!(client.stdout.rest(), ["! server is full"]);
        assert_eq!(client.exit(), 1);
        assert_eq!(client.complaints().lines().count(), 1);
    }
    for _ in 0..20 {
        bob.say("/exit");
        assert_eq!(bob.lines.rest().last().unwrap(), "* goodbye");
        drop(bob);
        bob = let_in(&server);
    }
    ann.sync();
}

/// Ten thousand who only listen are greeted, and all of them hear what one says. (33)
#[cfg(unix)]
pub fn ten_thousand_may_idle(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server();
    let mut crowd = Vec::new();
    while crowd.len() < 9_999 {
        let size = 100.min(9_999 - crowd.len());
        crowd.extend((0..size).map(|_| peer::connect(server.addr)));
        // Who is greeted last has let all the others in before.
        let mut last = crowd.last().unwrap().try_clone().unwrap();
        let greeting = peer::read_line(&mut last);
        assert!(greeting.starts_with("* you are "), "{greeting}");
    }
    let mut talker = server.peer();
    talker.say("hello, everybody");
    let heard = format!("{}: hello, everybody", talker.name);
    for stream in crowd {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.any(|line| line.unwrap() == heard), "cut off");
    }
    let mut late = Peer::ungreeted(server.addr);
    match late.lines.next().unwrap() {
        greeting if greeting.starts_with("* you are ") => {}
        refusal => assert_eq!(refusal, "! server is full"),
    }
}
