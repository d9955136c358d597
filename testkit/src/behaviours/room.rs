//! Names, rooms and what they remember (rows 27, 28, 29, 31, 35, 47).

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Barrier;
use std::thread;

use super::limits::told;
use crate::{Chat, PATIENCE, Peer, Server, peer};

/// Two who know of each other.
fn two(chat: &Chat) -> (Server, Peer, Peer) {
    let pair = chat.pair();
    let listener = pair.listener.expect("a room has listeners");
    (pair.server, listener, pair.speaker)
}

/// Takes a name.
fn call(peer: &mut Peer, name: &str) {
    peer.say(&format!("/nick {name}"));
    peer.lines.expect(&format!("* you are {name}"));
    peer.name = name.into();
}

/// A name is asked for, told to the others, and written as its owner likes it.
pub fn names_are_told(chat: &Chat) {
    let (_server, mut ann, mut bob) = two(chat);
    let guest = bob.name.clone();
    call(&mut bob, "bob");
    ann.lines.expect(&format!("* {guest} is now bob"));
    bob.say("hello");
    ann.lines.expect("bob: hello");
    call(&mut bob, "BOB");
    ann.lines.expect("* bob is now BOB");
    bob.say("/me  waves ");
    ann.lines.expect("** BOB waves");
    ann.say("/nick bob");
    ann.lines.expect("! bob is taken");
    bob.say("/nick BOB");
    bob.lines.expect("! you are BOB already");
    bob.say("/exit");
    ann.lines.expect("* BOB left");
    call(&mut ann, "bob");
}

/// Names that cannot be had are refused with the reason, and nobody else hears of it. (29)
pub fn bad_names_are_refused(chat: &Chat) {
    let (_server, mut ann, mut bob) = two(chat);
    let longest = "a".repeat(20);
    let too_long = "a".repeat(21);
    for name in [
        "*",
        "server",
        "SERVER",
        "Guest-7",
        "guest-",
        "a b",
        "a\tb",
        "1st",
        "_",
        "-a",
        "\u{430}nn",
        "ann:",
        "a\u{1b}[2J",
        &too_long,
    ] {
        bob.say(&format!("/nick {name}"));
        let refusal = bob.lines.next().expect("an answer");
        assert!(refusal.starts_with("! "), "{name:?}: {refusal}");
    }
    for question in ["/nick", "/join", "/msg", "/msg bob", "/me", "/join a:b", "/join lobby"] {
        bob.say(question);
        let refusal = bob.lines.next().expect("an answer");
        assert!(refusal.starts_with("! "), "{question:?}: {refusal}");
    }
    assert_eq!(ann.sync(), [""; 0]);
    call(&mut bob, &longest);
    call(&mut bob, "a-1_Z");
    assert_eq!(bob.sync(), [""; 0]);
}

/// A hundred clients claim one name at once: one gets it, the others are told, and it is free again
/// when that one leaves. (28)
pub fn a_name_has_one_owner(chat: &Chat) {
    let server = chat.server();
    let mut crowd: Vec<_> = (0..100).map(|_| peer::connect(server.addr)).collect();
    for stream in &mut crowd {
        let greeting = peer::read_line(stream);
        assert!(greeting.starts_with("* you are guest-"), "{greeting}");
    }
    // All claims are in flight before any answer is read.
    let start = Barrier::new(4);
    thread::scope(|threads| {
        for share in crowd.chunks_mut(25) {
            let start = &start;
            threads.spawn(move || {
                start.wait();
                for (stream, name) in share.iter_mut().zip(["bob", "BOB"].iter().cycle()) {
                    let claim = format!("/nick {name}\n");
                    stream.write_all(claim.as_bytes()).expect("open");
                }
            });
        }
    });
    let mut owners = 0;
    for stream in &mut crowd {
        let answer = loop {
            let line = peer::read_line(stream);
            let answers = line.starts_with("! ") || line.starts_with("* you are ");
            if answers && !line.starts_with("* you are in ") {
                break line;
            }
        };
        match answer.as_str() {
            "* you are bob" | "* you are BOB" => owners += 1,
            refused => assert!(refused.ends_with(" is taken"), "{refused}"),
        }
    }
    assert_eq!(owners, 1);
    let mut ann = server.peer();
    drop(crowd);
    ann.lines.until("bob's leaving", |line| told(line, "left") > 0);
    loop {
        ann.say("/nick bob");
        let free = |line: &str| line == "* you are bob" || line == "! bob is taken";
        // He may be among those whose end the server has not seen yet.
        if ann.lines.until("an answer", free).1 == "* you are bob" {
            return;
        }
    }
}

/// A name that leaves a room and comes back at once, with another owner and in another case, is told
/// to leave before it is told to join. (47)
pub fn a_leave_is_told_before_the_same_name_joins(chat: &Chat) {
    let server = chat.server();
    let mut watcher = server.peer();
    let (mut inside, mut outside) = (server.peer(), server.peer());
    outside.say("/join elsewhere");
    outside.sync();
    inside.say("/nick bob");
    inside.sync();
    inside.name = "bob".into();
    for (n, name) in ["Bob", "BOB", "bob"].iter().cycle().take(12).enumerate() {
        // The name is free once its owner has another.
        inside.say(&format!("/join elsewhere\n/nick other-{n}"));
        inside.sync();
        outside.say(&format!("/nick {name}\n/join lobby"));
        outside.sync();
        outside.name = (*name).into();
        let (left, joined) = (format!("* {} left", inside.name), format!("* {name} joined"));
        let (before, _) = watcher.lines.until(&joined, |line| line == joined);
        assert!(before.contains(&left), "{before:?} and then {joined}");
        std::mem::swap(&mut inside, &mut outside);
    }
}

/// A message reaches the one addressed, under whatever case, and nobody else; who is not there, or
/// has left, gets none. (31)
pub fn messages_reach_one_or_nobody(chat: &Chat) {
    let (mut server, mut ann, mut bob) = two(chat);
    call(&mut ann, "ann");
    bob.lines.next();
    call(&mut bob, "bob");
    ann.lines.next();
    let mut eve = server.peer();
    ann.sync();
    bob.sync();
    ann.say("/msg BOB  for you: alone");
    ann.lines.expect("* to bob: for you: alone");
    bob.lines.expect("ann (private): for you: alone");
    ann.say("/msg server psst");
    ann.lines.expect("* to server: psst");
    server.process.stdout.until("a message", |line| line == "ann (private): psst");
    server.process.type_line("/msg ann yes");
    ann.lines.expect("server (private): yes");
    bob.say("/join elsewhere");
    bob.lines.expect("* you are in elsewhere");
    ann.lines.expect("* bob left");
    ann.say("/msg bob still there?");
    ann.lines.expect("* to bob: still there?");
    bob.lines.expect("ann (private): still there?");
    bob.say("/exit");
    bob.lines.rest();
    for nobody in ["bob", "nobody", "guest-999", "\u{1b}[2J"] {
        ann.say(&format!("/msg {nobody} hello"));
        let refusal = ann.lines.next().expect("an answer");
        assert!(refusal.starts_with("! "), "{refusal}");
    }
    let seen = eve.sync();
    assert!(seen.iter().all(|line| !line.contains("private")), "{seen:?}");
}

/// Rooms are entered and left, listed, and gone when nobody is in them; what is said stays there.
pub fn rooms_are_apart(chat: &Chat) {
    let (mut server, mut ann, mut bob) = two(chat);
    call(&mut ann, "ann");
    bob.lines.next();
    bob.say("/join Rust");
    bob.lines.expect("* you are in Rust");
    let guest = bob.name.clone();
    ann.lines.expect(&format!("* {guest} left"));
    bob.say("only here");
    ann.say("only there");
    assert_eq!(ann.sync(), [""; 0]);
    assert_eq!(bob.sync(), [""; 0]);
    ann.say("/rooms");
    ann.lines.expect("* rooms: lobby (2), Rust (1)");
    ann.say("/who");
    ann.lines.expect("* 2 in lobby: server, ann");
    ann.say("/join rust");
    ann.lines.expect("* you are in Rust");
    ann.lines.expect(&format!("{guest}: only here"));
    bob.lines.expect("* ann joined");
    bob.say("/who");
    bob.lines.expect(&format!("* 2 in Rust: ann, {guest}"));
    bob.say("/join RUST");
    bob.lines.expect("! you are in RUST already");
    server.process.type_line("/join rust");
    bob.lines.expect("* server joined");
    server.process.type_line("hello");
    bob.lines.expect("server: hello");
    server.process.type_line("/join lobby");
    bob.lines.expect("* server left");
    for peer in [&mut ann, &mut bob] {
        peer.say("/join lobby");
        let here = |line: &str| line == "* you are in lobby";
        peer.lines.until("the lobby", here);
        peer.sync();
    }
    bob.say("/rooms");
    bob.lines.expect("* rooms: lobby (3)");
    bob.say("/join rust");
    bob.lines.expect("* you are in rust");
    // It is a new room: it remembers nothing.
    assert_eq!(bob.sync(), [""; 0]);
    bob.say("/help");
    let help = bob.sync();
    let commands = ["/nick", "/join", "/rooms", "/who", "/msg", "/me", "/exit"];
    let told = |command: &&str| help.iter().any(|line| line.contains(*command));
    assert!(commands.iter().all(told), "{help:?}");
    assert!(help.iter().all(|line| line.starts_with("* ")), "{help:?}");
}

/// There are at most a thousand rooms, and lists fit into a line.
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
    ann.say("/join one-too-many");
    ann.lines.until("a refusal", |line| line == "! too many rooms");
    ann.say("/rooms");
    let list = ann.lines.until("a list", |line| line.starts_with("* rooms: "));
    assert!(list.1.len() <= 4096, "{} bytes", list.1.len());
    assert!(list.1.ends_with(" more"), "{}", list.1);
    drop(crowd.pop());
    // Its end has to be seen first.
    loop {
        ann.say("/join room-for-one");
        let answer = |line: &str| line == "! too many rooms" || line == "* you are in room-for-one";
        if ann.lines.until("an answer", answer).1.starts_with('*') {
            break;
        }
    }
}

/// A newcomer reads the last lines said, and then all that follow, with no gap and no repeat.
pub fn history_joins_what_follows(chat: &Chat) {
    let mut server = chat.server_with(&["--rate", "0", "--history", "7"]);
    let mut talker = server.peer();
    let mut writer = talker.writer();
    let talking = thread::spawn(move || {
        for n in 0_usize.. {
            if writer.write_all(format!("{n}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    server.process.stdout.until("the talk", |line| line.ends_with(": 100"));
    let said = format!("{}: ", talker.name);
    for _ in 0..20 {
        let mut late = Peer::ungreeted(server.addr);
        late.lines.until("the lobby", |line| line == "* you are in lobby");
        let mut numbers = Vec::new();
        while numbers.len() < 200 {
            let line = late.lines.next().expect("more");
            if let Some(number) = line.strip_prefix(&said) {
                numbers.push(number.parse::<usize>().expect("a number"));
            } else {
                assert!(line.starts_with("* "), "{line}");
            }
        }
        let first = numbers[0];
        assert!(numbers.iter().copied().eq(first..first + 200), "{numbers:?}");
    }
    talker.lines.until("the others", |line| told(line, "left") > 0);
    talker.writer().shutdown(Shutdown::Both).expect("open");
    talking.join().expect("no panic");
    let mut last = Peer::ungreeted(server.addr);
    last.lines.until("the lobby", |line| line == "* you are in lobby");
    let history = last.sync();
    let said = history.iter().filter(|line| line.starts_with(&said));
    assert_eq!(said.count(), 7, "{history:?}");
}

/// All lines of eight who talk at once come to everyone in the same order, own lines left out, and
/// each one's in the order in which he said them.
pub fn everyone_reads_one_order(chat: &Chat) {
    const TALKERS: usize = 8;
    const LINES: usize = 500;
    let server = chat.server();
    let mut talkers: Vec<_> = (0..TALKERS).map(|_| server.peer()).collect();
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
        for talker in &talkers {
            let mut writer = talker.writer();
            threads.spawn(move || {
                for n in 0..LINES {
                    writer.write_all(format!("{n}\n").as_bytes()).expect("open");
                }
            });
        }
    });
    let order = read(&mut witness, TALKERS * LINES);
    for talker in &mut talkers {
        let own = format!("{}: ", talker.name);
        let mine: Vec<usize> =
            order.iter().filter_map(|line| line.strip_prefix(&own)?.parse().ok()).collect();
        assert!(mine.into_iter().eq(0..LINES), "lines of {own} are out of order");
        let others = order.iter().filter(|line| !line.starts_with(&own));
        let heard = read(talker, (TALKERS - 1) * LINES);
        assert!(heard.iter().eq(others), "{own} reads another order");
    }
}

/// A new name in the middle of a flood: the old name, the notice, the new name.
pub fn a_rename_keeps_its_place(chat: &Chat) {
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

/// Eight come and go a thousand times each: as many are told to leave as to join, and in the end
/// only those are here who are. (27)
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
                    stream.read_to_string(&mut all).expect("an orderly end");
                    assert!(all.ends_with("* goodbye\n"), "{all}");
                }
            });
        }
    });
    let (mut joined, mut left) = (0, 0);
    while left < 8 * TIMES {
        let line = ann.lines.next().expect("a notice");
        joined += told(&line, "joined");
        left += told(&line, "left");
    }
    assert_eq!((joined, left), (8 * TIMES, 8 * TIMES));
    ann.say("/who");
    ann.lines.expect(&format!("* 2 in lobby: server, {}", ann.name));
}

/// A thousand join at once: each is told in few notices, which name or count all of them. (35)
#[cfg(unix)]
pub fn a_thousand_joins_are_few_notices(chat: &Chat) {
    crate::system::raise_descriptor_limit();
    let server = chat.server();
    let mut ann = server.peer();
    let crowd: Vec<_> = (0..1000).map(|_| peer::connect(server.addr)).collect();
    let (mut joined, mut notices) = (0, 0);
    while joined < 1000 {
        let line = ann.lines.next().expect("a notice");
        joined += told(&line, "joined");
        notices += 1;
    }
    assert_eq!(joined, 1000);
    assert!(notices <= 20, "{notices} notices");
    ann.say("hello, everybody");
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

/// Our client asks for a name; one that cannot be had leaves its user a guest.
pub fn a_client_asks_for_its_name(chat: &Chat) {
    let server = chat.server();
    let addr = server.addr.to_string();
    for (name, answer) in [("ann", "* you are ann"), ("server", "! server is reserved")] {
        let mut command = chat.command(&["client", &addr, "--name", name]);
        let mut client = crate::Process::start(&mut command, crate::End::Piped, crate::End::Piped);
        client.stdout.until(answer, |line| line == answer);
        client.type_line("/exit");
        assert_eq!(client.stdout.rest().last().unwrap(), "* goodbye");
        assert_eq!(client.exit(), 0);
    }
}
