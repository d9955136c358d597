//! Rooms, history, order and notices (rows 27, 35).

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use super::limits::count_in_notice;
use super::names::{rename, two};
use crate::{Chat, PATIENCE, Peer, eventually, peer};

/// Lines of a room reach only its members. Rooms are listed, and an empty room disappears.
pub fn rooms_are_isolated(chat: &Chat) {
    let (mut server, mut ann, mut bob) = two(chat);
    rename(&mut ann, "ann");
    bob.lines.next();
    bob.send_line("/join Rust");
    bob.lines.expect("* you are in Rust");
    let guest = bob.name.clone();
    ann.lines.expect(&format!("* {guest} left"));
    bob.send_line("only here");
    ann.send_line("only there");
    assert_eq!(ann.sync(), [""; 0]);
    assert_eq!(bob.sync(), [""; 0]);
    ann.send_line("/rooms");
    ann.lines.expect("* rooms: lobby (2), Rust (1)");
    ann.send_line("/who");
    ann.lines.expect("* 2 in lobby: server, ann");
    ann.send_line("/join rust");
    ann.lines.expect("* you are in Rust");
    ann.lines.expect(&format!("{guest}: only here"));
    bob.lines.expect("* ann joined");
    bob.send_line("/who");
    bob.lines.expect(&format!("* 2 in Rust: ann, {guest}"));
    bob.send_line("/join RUST");
    bob.lines.expect("! you are in RUST already");
    server.process.type_line("/join rust");
    bob.lines.expect("* server joined");
    server.process.type_line("hello");
    bob.lines.expect("server: hello");
    server.process.type_line("/join lobby");
    bob.lines.expect("* server left");
    for peer in [&mut ann, &mut bob] {
        peer.send_line("/join lobby");
        let in_lobby = |line: &str| line == "* you are in lobby";
        peer.lines.until("the lobby", in_lobby);
        peer.sync();
    }
    bob.send_line("/rooms");
    bob.lines.expect("* rooms: lobby (3)");
    bob.send_line("/join rust");
    bob.lines.expect("* you are in rust");
    // The room is new, so its history is empty.
    assert_eq!(bob.sync(), [""; 0]);
    bob.send_line("/help");
    let help = bob.sync();
    let commands = ["/nick", "/join", "/rooms", "/who", "/msg", "/me", "/exit"];
    let explained = |command: &&str| help.iter().any(|line| line.contains(*command));
    assert!(commands.iter().all(explained), "{help:?}");
    assert!(help.iter().all(|line| line.starts_with("* ")), "{help:?}");
}

/// A server has at most a thousand rooms, and a list of rooms fits into a line.
pub fn rooms_are_bounded(chat: &Chat) {
    let server = chat.server();
    let mut crowd = Vec::new();
    for n in 1..1000 {
        let mut stream = peer::connect(server.addr);
        let join = format!("/join a-rather-long-{n}\n");
        stream.write_all(join.as_bytes()).expect("open");
        crowd.push(stream);
    }
    for stream in &mut crowd {
        while !peer::read_line(stream).starts_with("* you are in a-") {}
    }
    let mut ann = server.peer();
    ann.send_line("/join one-too-many");
    ann.lines.until("a refusal", |line| line == "! too many rooms");
    ann.send_line("/rooms");
    let list = ann.lines.until("a list", |line| line.starts_with("* rooms: "));
    assert!(list.1.len() <= 4096, "{} bytes", list.1.len());
    assert!(list.1.ends_with(" more"), "{}", list.1);
    drop(crowd.pop());
    // The room is free once the server has noticed that its member has left.
    loop {
        ann.send_line("/join room-for-one");
        let reply = |line: &str| line == "! too many rooms" || line == "* you are in room-for-one";
        if ann.lines.until("a reply", reply).1.starts_with('*') {
            break;
        }
    }
}

/// A new client receives the room's latest lines and then all new lines, with no gap or repeat.
pub fn history_and_new_lines_have_no_gap_or_repeat(chat: &Chat) {
    let mut server = chat.server_with(&["--rate", "0", "--history", "7"]);
    let mut sender = server.peer();
    let mut writer = sender.writer();
    let sending = thread::spawn(move || {
        for n in 0_usize.. {
            if writer.write_all(format!("{n}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    server.process.stdout.until("line 100", |line| line.ends_with(": 100"));
    let prefix = format!("{}: ", sender.name);
    for _ in 0..20 {
        let mut late = Peer::ungreeted(server.addr);
        late.lines.until("the lobby", |line| line == "* you are in lobby");
        let mut numbers = Vec::new();
        while numbers.len() < 200 {
            let line = late.lines.next().expect("more");
            if let Some(number) = line.strip_prefix(&prefix) {
                numbers.push(number.parse::<usize>().expect("a number"));
            } else {
                assert!(line.starts_with("* "), "{line}");
            }
        }
        let first = numbers[0];
        assert!(numbers.iter().copied().eq(first..first + 200), "{numbers:?}");
    }
    sender.lines.until("a leave notice", |line| count_in_notice(line, "left") > 0);
    sender.writer().shutdown(Shutdown::Both).expect("open");
    sending.join().expect("no panic");
    // The server still reads what was sent before.
    let mut witness = server.peer();
    eventually("the sender leaves", PATIENCE, || !witness.who().contains(&sender.name));
    let mut last = Peer::ungreeted(server.addr);
    last.lines.until("the lobby", |line| line == "* you are in lobby");
    let history = last.sync();
    let lines = history.iter().filter(|line| line.starts_with(&prefix));
    assert_eq!(lines.count(), 7, "{history:?}");
}

/// Eight clients send at once. All clients receive all lines in one order, except their own lines,
/// and the lines of each client in the order in which it sent them.
pub fn all_clients_receive_lines_in_one_order(chat: &Chat) {
    const SENDERS: usize = 8;
    const LINES: usize = 500;
    let server = chat.server();
    let mut senders: Vec<_> = (0..SENDERS).map(|_| server.peer()).collect();
    let mut witness = server.peer();
    let read = |peer: &mut Peer, count: usize| {
        let mut all = Vec::new();
        while all.len() < count {
            let line = peer.lines.next().expect("more");
            if !line.starts_with("* ") {
                all.push(line);
            }
        }
        all
    };
    thread::scope(|threads| {
        for sender in &senders {
            let mut writer = sender.writer();
            threads.spawn(move || {
                for n in 0..LINES {
                    writer.write_all(format!("{n}\n").as_bytes()).expect("open");
                }
            });
        }
    });
    let order = read(&mut witness, SENDERS * LINES);
    for sender in &mut senders {
        let own = format!("{}: ", sender.name);
        let mine: Vec<usize> =
            order.iter().filter_map(|line| line.strip_prefix(&own)?.parse().ok()).collect();
        assert!(mine.into_iter().eq(0..LINES), "lines of {own} are out of order");
        let others = order.iter().filter(|line| !line.starts_with(&own));
        let received = read(sender, (SENDERS - 1) * LINES);
        assert!(received.iter().eq(others), "{own} received another order");
    }
}

/// During a flood, the notice of a new name arrives between the last line under the old name and
/// the first line under the new one.
pub fn a_rename_notice_arrives_in_order(chat: &Chat) {
    let (_server, mut ann, mut bob) = two(chat);
    let lines = "x\n".repeat(2000);
    bob.send(format!("{lines}/nick bob\n{lines}/nick Rob\n{lines}"));
    let guest = bob.name.clone();
    let names = [guest.as_str(), "bob", "Rob"];
    for (n, name) in names.iter().enumerate() {
        for _ in 0..2000 {
            ann.lines.expect(&format!("{name}: x"));
        }
        if let Some(next) = names.get(n + 1) {
            ann.lines.expect(&format!("* {name} is now {next}"));
        }
    }
    assert_eq!(bob.sync(), ["* you are bob", "* you are Rob"]);
}

/// Eight clients join and leave a thousand times each. Joins and leaves are announced equally
/// often, and `/who` lists only the clients that are still connected. (27)
pub fn joins_equal_leaves(chat: &Chat) {
    const TIMES: usize = 1000;
    let server = chat.server();
    let mut ann = server.peer();
    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..TIMES {
                    let mut stream = peer::connect(server.addr);
                    stream.shutdown(Shutdown::Write).expect("open");
                    stream.set_read_timeout(Some(PATIENCE)).expect("open");
                    let mut all = String::new();
                    stream.read_to_string(&mut all).expect("EOF, not a reset");
                    assert!(all.ends_with("* goodbye\n"), "{all}");
                }
            });
        }
    });
    let (mut joined, mut left) = (0, 0);
    while left < 8 * TIMES {
        let line = ann.lines.next().expect("a notice");
        joined += count_in_notice(&line, "joined");
        left += count_in_notice(&line, "left");
    }
    assert_eq!((joined, left), (8 * TIMES, 8 * TIMES));
    ann.send_line("/who");
    ann.lines.expect(&format!("* 2 in lobby: server, {}", ann.name));
}

/// A thousand clients join at once: at most 20 notices name or count all of them, for every
/// client. (35)
#[cfg(unix)]
pub fn a_thousand_joins_are_coalesced_into_few_notices(chat: &Chat) {
    crate::system::raise_descriptor_limit();
    let server = chat.server();
    let mut ann = server.peer();
    let crowd: Vec<_> = (0..1000).map(|_| peer::connect(server.addr)).collect();
    let (mut joined, mut notices) = (0, 0);
    while joined < 1000 {
        let line = ann.lines.next().expect("a notice");
        joined += count_in_notice(&line, "joined");
        notices += 1;
    }
    assert_eq!(joined, 1000);
    assert!(notices <= 20, "{notices} notices");
    ann.send_line("hello, everybody");
    let hello = format!("{}: hello, everybody", ann.name);
    for mut stream in crowd {
        let mut lines = 0;
        loop {
            let line = peer::read_line(&mut stream);
            if line == hello {
                break;
            }
            assert!(line.starts_with("* "), "{line}");
            lines += 1;
        }
        assert!(lines <= 22, "{lines} notices");
    }
}
