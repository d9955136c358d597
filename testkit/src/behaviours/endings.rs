//! How conversations and programs end (rows 13 to 15, 24 to 26).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, Peer, Process, best_of_three, peer};

/// A client that half-closes gets what is queued for it, and the end within a second; everything it
/// said has been relayed. (13)
pub fn a_half_close_is_answered(chat: &Chat) {
    best_of_three(Duration::from_secs(1), || {
        let mut pair = chat.pair();
        pair.reply("one");
        pair.reply("two");
        pair.is_replied("one");
        pair.is_replied("two");
        let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
        pair.speaker.send(lines);
        pair.speaker.half_close();
        let closed = Instant::now();
        let rest = pair.speaker.lines.rest();
        let took = closed.elapsed();
        assert!(!pair.speaker.lines.was_reset());
        let goodbye: &[_] = match chat.step() {
            2 => &[],
            _ => &["* goodbye"],
        };
        assert_eq!(rest, goodbye);
        for n in 0..1000 {
            pair.hears(&n.to_string());
        }
        took
    });
}

/// A connection that is reset in the middle of a line is one leave notice, and nothing else; step 2
/// ends with 1. (14)
pub fn a_reset_in_a_line_is_one_notice(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.say("before");
    pair.hears("before");
    pair.speaker.send("half a li");
    let Some(mut listener) = pair.listener else {
        let speaker = pair.speaker;
        // Two looks at the socket: the half line has been read.
        thread::sleep(Duration::from_millis(200));
        speaker.reset();
        assert_eq!(pair.server.process.exit(), 1);
        assert_eq!(pair.server.process.stdout.rest(), [""; 0]);
        assert_eq!(pair.server.process.complaints().lines().count(), 2);
        return;
    };
    let left = format!("* {} left", pair.speaker.name);
    pair.speaker.reset();
    listener.lines.expect(&left);
    assert_eq!(listener.sync(), [""; 0]);
    assert_eq!(pair.server.process.complaints().lines().count(), 1);
}

/// The same when it happens while the server is writing to it. (14)
pub fn a_reset_in_a_write_is_one_notice(chat: &Chat) {
    let mut pair = chat.pair();
    let mut stranger = peer::connect(pair.server.addr);
    let name = peer::read_line(&mut stranger);
    let name = name.strip_prefix("* you are ").unwrap().to_owned();
    let mut stranger = Some(stranger);
    let text = "x".repeat(4000);
    let mut lines = Vec::new();
    for n in 0..500 {
        pair.speaker.say(&text);
        if n == 100 {
            // With input unread and nothing else open, closing is a reset.
            drop(stranger.take());
        }
    }
    pair.speaker.say("end");
    let end = pair.heard_as("end");
    lines.extend(pair.ears().until(&end, |line| line == end).0);
    let left = format!("* {name} left");
    if !lines.contains(&left) {
        lines.extend(pair.ears().until(&left, |line| line == left).0);
        lines.push(left.clone());
    }
    assert_eq!(lines.iter().filter(|line| **line == left).count(), 1);
    let said = pair.heard_as(&text);
    assert_eq!(lines.iter().filter(|line| **line == said).count(), 500);
}

/// Step 2 talks to one: the system refuses any other, and the conversation does not notice. (15)
pub fn a_second_client_is_refused(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.say("one");
    pair.hears("one");
    assert!(TcpStream::connect(pair.server.addr).is_err());
    let addr = pair.server.addr.to_string();
    let mut client = chat.command(&["client", &addr]);
    let mut client = Process::start(&mut client, crate::End::Piped, crate::End::Piped);
    assert_eq!(client.exit(), 1);
    pair.speaker.say("two");
    pair.hears("two");
    pair.reply("three");
    pair.is_replied("three");
}

/// SIGINT and SIGTERM are an orderly end, in the middle of a flood and with input unread: everyone's
/// last line is the goodbye. (24)
#[cfg(unix)]
pub fn signals_end_a_server(chat: &Chat) {
    for signal in ["INT", "TERM"] {
        let mut server = chat.server();
        let mut quiet = server.peer();
        let mut flooder = server.peer();
        let mut flood = flooder.writer();
        let flooding = thread::spawn(move || {
            let text = "flood\n".repeat(1000);
            while flood.write_all(text.as_bytes()).is_ok() {}
        });
        quiet.lines.until("the flood", |line| line.ends_with(": flood"));
        server.process.signal(signal);
        assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
        assert_eq!(quiet.lines.rest().last().unwrap(), "* goodbye");
        assert_eq!(flooder.lines.rest().last().unwrap(), "* goodbye");
        flooding.join().unwrap();
        assert_eq!(server.process.complaints().lines().count(), 1);
    }
}

/// A second SIGINT ends the server at once, with 130. (24)
#[cfg(unix)]
pub fn a_second_interrupt_ends_it_at_once(chat: &Chat) {
    // By itself, the server would wait a second for the client to close its side.
    best_of_three(Duration::from_millis(500), || {
        let mut server = chat.server();
        let mut open = server.peer();
        server.process.signal("INT");
        open.lines.until("goodbye", |line| line == "* goodbye");
        let second = Instant::now();
        server.process.signal("INT");
        assert_eq!(server.process.exit(), 130);
        second.elapsed()
    });
}

/// The operator's `/exit` ends the server within two seconds, also with a client that never reads.
/// (25)
pub fn the_operators_exit_ends_it(chat: &Chat) {
    let mut server = chat.server();
    let _silent = peer::connect(server.addr);
    let mut talker = server.peer();
    let mut listener = server.peer();
    let mut flood = talker.writer();
    let flooding = thread::spawn(move || {
        let text = format!("{}\n", "x".repeat(1000)).repeat(20);
        while flood.write_all(text.as_bytes()).is_ok() {}
    });
    for _ in 0..1000 {
        listener.lines.next().unwrap();
    }
    server.process.type_line("/exit");
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
    assert_eq!(listener.lines.rest().last().unwrap(), "* goodbye");
    assert_eq!(talker.lines.rest().last().unwrap(), "* goodbye");
    flooding.join().unwrap();
}

/// A server that ended can be started again on its port, at once. (26)
pub fn a_port_can_be_used_again(chat: &Chat) {
    let mut addr = "127.0.0.1:0".to_owned();
    for _ in 0..20 {
        let mut command = chat.command(&["server", &addr]);
        let process = Process::start(&mut command, crate::End::Piped, crate::End::Piped);
        let mut server = crate::Server::wait(process);
        addr = server.addr.to_string();
        // Connections that the server closes first keep the port in TIME_WAIT.
        let mut peer = Peer::ungreeted(server.addr);
        peer.say("hello");
        server.process.stdout.until("a line", |line| line.ends_with(": hello"));
        server.process.type_line("/exit");
        peer.lines.rest();
        drop(peer);
        assert_eq!(server.process.exit(), 0);
    }
}

/// What the operator said before `/exit` arrives before the goodbye.
pub fn the_operators_last_words_arrive(chat: &Chat) {
    let mut server = chat.server();
    let mut peer = server.peer();
    server.process.type_bytes("last words\n/exit\nnever\n");
    assert_eq!(peer.lines.rest(), ["server: last words", "* goodbye"]);
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}

/// A client tells an orderly end from a failure: a server that vanishes is 1, in one line.
pub fn a_lost_connection_is_an_error(chat: &Chat) {
    let endings: [fn(TcpStream); 3] = [
        |stream| peer::reset(&stream),
        |mut stream| {
            stream.write_all(b"* you are client-1\n").unwrap();
            if stream.read(&mut [0]).is_ok_and(|n| n > 0) {
                peer::reset(&stream);
            }
        },
        |mut stream| stream.write_all(b"* you are client-1\nclient-2: hi\n").unwrap(),
    ];
    // At step 2, the other side's end is orderly.
    let endings = if chat.step() == 2 { &endings[..1] } else { &endings[..] };
    // Several times, since the reset is seen by a read or by a write.
    for end in endings.iter().cycle().take(12) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = chat.client(listener.local_addr().unwrap());
        let (stream, _) = listener.accept().unwrap();
        client.type_bytes("hello\n".repeat(500));
        end(stream);
        assert_eq!(client.exit(), 1);
        let complaints = client.complaints();
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
    }
}

/// A client that left with `/exit` waits for the goodbye, and after a second no more.
pub fn a_client_does_not_wait_for_ever(chat: &Chat) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = chat.client(listener.local_addr().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    client.type_line("/exit");
    assert_eq!(peer::read_line(&mut stream), "/exit");
    stream.write_all(b"still here\n").unwrap();
    let shown = client.stdout.next().unwrap();
    assert!(shown.ends_with("still here"), "{shown}");
    let code = client.exit_within(Duration::from_millis(1500));
    assert_eq!(code, if chat.step() == 2 { 0 } else { 1 });
}
