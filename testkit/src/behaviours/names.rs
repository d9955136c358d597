//! Names and private messages (rows 28, 29, 31, 47).

use std::io::Write;
use std::sync::Barrier;
use std::thread;

use super::limits::count_in_notice;
use crate::{Chat, End, Peer, Process, Server, peer};

/// A server with two clients in its lobby.
pub(super) fn two(chat: &Chat) -> (Server, Peer, Peer) {
    let pair = chat.pair();
    let reader = pair.reader.expect("a second client");
    (pair.server, reader, pair.sender)
}

/// Takes a name with `/nick`.
pub(super) fn rename(peer: &mut Peer, name: &str) {
    peer.send_line(&format!("/nick {name}"));
    peer.lines.expect(&format!("* you are {name}"));
    peer.name = name.into();
}

/// A new name is announced to other clients, in the case in which its owner wrote it. (29)
pub fn a_rename_is_announced(chat: &Chat) {
    let (_server, mut ann, mut bob) = two(chat);
    let guest = bob.name.clone();
    rename(&mut bob, "bob");
    ann.lines.expect(&format!("* {guest} is now bob"));
    bob.send_line("hello");
    ann.lines.expect("bob: hello");
    rename(&mut bob, "BOB");
    ann.lines.expect("* bob is now BOB");
    bob.send_line("/me  waves ");
    ann.lines.expect("** BOB waves");
    ann.send_line("/nick bob");
    ann.lines.expect("! bob is taken");
    bob.send_line("/nick BOB");
    bob.lines.expect("! you are BOB already");
    bob.send_line("/exit");
    ann.lines.expect("* BOB left");
    rename(&mut ann, "bob");
}

/// Invalid names are refused with the reason, and other clients receive nothing. (29)
pub fn invalid_names_are_refused(chat: &Chat) {
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
        bob.send_line(&format!("/nick {name}"));
        let refusal = bob.lines.next().expect("a reply");
        assert!(refusal.starts_with("! "), "{name:?}: {refusal}");
    }
    for command in ["/nick", "/join", "/msg", "/msg bob", "/me", "/join a:b", "/join lobby"] {
        bob.send_line(command);
        let refusal = bob.lines.next().expect("a reply");
        assert!(refusal.starts_with("! "), "{command:?}: {refusal}");
    }
    assert_eq!(ann.sync(), [""; 0]);
    rename(&mut bob, &longest);
    rename(&mut bob, "a-1_Z");
    assert_eq!(bob.sync(), [""; 0]);
}

/// A hundred clients claim one name at once: one client gets it, and the others are refused. The
/// name is free again when its owner has left. (28)
pub fn a_name_has_one_owner(chat: &Chat) {
    let server = chat.server();
    let mut crowd: Vec<_> = (0..100).map(|_| peer::connect(server.addr)).collect();
    for stream in &mut crowd {
        let greeting = peer::read_line(stream);
        assert!(greeting.starts_with("* you are guest-"), "{greeting}");
    }
    // All claims are in flight before the test reads a reply.
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
        let reply = loop {
            let line = peer::read_line(stream);
            let is_reply = line.starts_with("! ") || line.starts_with("* you are ");
            if is_reply && !line.starts_with("* you are in ") {
                break line;
            }
        };
        match reply.as_str() {
            "* you are bob" | "* you are BOB" => owners += 1,
            refused => assert!(refused.ends_with(" is taken"), "{refused}"),
        }
    }
    assert_eq!(owners, 1);
    let mut ann = server.peer();
    drop(crowd);
    ann.lines.until("a leave notice", |line| count_in_notice(line, "left") > 0);
    loop {
        ann.send_line("/nick bob");
        let free = |line: &str| line == "* you are bob" || line == "! bob is taken";
        // The server may not have noticed yet that the owner has closed its socket.
        if ann.lines.until("a reply", free).1 == "* you are bob" {
            return;
        }
    }
}

/// A name leaves a room and another client joins under the same name, in another case. The leave is
/// announced before the join. (47)
pub fn a_leave_is_announced_before_the_same_name_joins(chat: &Chat) {
    let server = chat.server();
    let mut watcher = server.peer();
    let (mut inside, mut outside) = (server.peer(), server.peer());
    outside.send_line("/join elsewhere");
    outside.sync();
    inside.send_line("/nick bob");
    inside.sync();
    inside.name = "bob".into();
    for (n, name) in ["Bob", "BOB", "bob"].iter().cycle().take(12).enumerate() {
        // The name is free once its owner has taken another one.
        inside.send_line(&format!("/join elsewhere\n/nick other-{n}"));
        inside.sync();
        outside.send_line(&format!("/nick {name}\n/join lobby"));
        outside.sync();
        outside.name = (*name).into();
        let (left, joined) = (format!("* {} left", inside.name), format!("* {name} joined"));
        let (before, _) = watcher.lines.until(&joined, |line| line == joined);
        assert!(before.contains(&left), "{before:?} and then {joined}");
        std::mem::swap(&mut inside, &mut outside);
    }
}

/// A private message reaches its recipient and no other client, whatever the case of the name. A
/// message to an unknown name is refused. (31)
pub fn a_private_message_reaches_only_its_recipient(chat: &Chat) {
    let (mut server, mut ann, mut bob) = two(chat);
    rename(&mut ann, "ann");
    bob.lines.next();
    rename(&mut bob, "bob");
    ann.lines.next();
    let mut eve = server.peer();
    ann.sync();
    bob.sync();
    ann.send_line("/msg BOB  for you: alone");
    ann.lines.expect("* to bob: for you: alone");
    bob.lines.expect("ann (private): for you: alone");
    ann.send_line("/msg server psst");
    ann.lines.expect("* to server: psst");
    server.process.stdout.until("a message", |line| line == "ann (private): psst");
    server.process.type_line("/msg ann yes");
    ann.lines.expect("server (private): yes");
    bob.send_line("/join elsewhere");
    bob.lines.expect("* you are in elsewhere");
    ann.lines.expect("* bob left");
    ann.send_line("/msg bob still there?");
    ann.lines.expect("* to bob: still there?");
    bob.lines.expect("ann (private): still there?");
    bob.send_line("/exit");
    bob.lines.rest();
    for unknown in ["bob", "unknown", "guest-999", "\u{1b}[2J"] {
        ann.send_line(&format!("/msg {unknown} hello"));
        let refusal = ann.lines.next().expect("a reply");
        assert!(refusal.starts_with("! "), "{refusal}");
    }
    let received = eve.sync();
    assert!(received.iter().all(|line| !line.contains("private")), "{received:?}");
}

/// `--name` requests a name. If the server refuses it, the user stays a guest. (29)
pub fn the_name_option_requests_the_name(chat: &Chat) {
    let server = chat.server();
    let addr = server.addr.to_string();
    for (name, reply) in [("ann", "* you are ann"), ("server", "! server is reserved")] {
        let mut command = chat.command(&["client", &addr, "--name", name]);
        let mut client = Process::start(&mut command, End::Piped, End::Piped);
        client.stdout.until(reply, |line| line == reply);
        client.type_line("/exit");
        assert_eq!(client.stdout.rest().last().unwrap(), "* goodbye");
        assert_eq!(client.exit(), 0);
    }
}
