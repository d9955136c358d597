//! The end of connections and programs (rows 13 to 15, 22, 24 to 26).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, Peer, Process, best_of_three, peer};

/// After a client half-closes, its lines are delivered, its own queue is drained, and the server
/// closes within a second. (13)
pub fn a_half_closed_connection_is_drained(chat: &Chat) {
    best_of_three(Duration::from_secs(1), || {
        let mut pair = chat.pair();
        pair.reply("one");
        pair.reply("two");
        pair.expect_reply("one");
        pair.expect_reply("two");
        let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
        pair.sender.send(lines);
        pair.sender.half_close();
        let closed = Instant::now();
        let rest = pair.sender.lines.rest();
        let took = closed.elapsed();
        assert!(!pair.sender.lines.was_reset());
        let goodbye: &[_] = match chat.step() {
            2 => &[],
            _ => &["* goodbye"],
        };
        assert_eq!(rest, goodbye);
        for n in 0..1000 {
            pair.expect_received(&n.to_string());
        }
        took
    });
}

/// A reset in the middle of a line causes one leave notice and nothing else. Step 2 ends with exit
/// code 1. (14)
pub fn a_reset_in_mid_line_causes_one_leave_notice(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send_line("before");
    pair.expect_received("before");
    pair.sender.send("half a li");
    let Some(mut reader) = pair.reader else {
        let sender = pair.sender;
        // Long enough for the server to read the partial line.
        thread::sleep(Duration::from_millis(200));
        sender.reset();
        assert_eq!(pair.server.process.exit(), 1);
        assert_eq!(pair.server.process.stdout.rest(), [""; 0]);
        assert_eq!(pair.server.process.stderr_text().lines().count(), 2);
        return;
    };
    let left = format!("* {} left", pair.sender.name);
    pair.sender.reset();
    reader.lines.expect(&left);
    assert_eq!(reader.sync(), [""; 0]);
    assert_eq!(pair.server.process.stderr_text().lines().count(), 1);
}

/// A reset while the server writes to the client causes one leave notice. (14)
pub fn a_reset_during_a_write_causes_one_leave_notice(chat: &Chat) {
    let mut pair = chat.pair();
    let mut client = peer::connect(pair.server.addr);
    let name = peer::read_line(&mut client);
    let name = name.strip_prefix("* you are ").unwrap().to_owned();
    let mut client = Some(client);
    let text = "x".repeat(4000);
    let mut lines = Vec::new();
    for n in 0..500 {
        pair.sender.send_line(&text);
        if n == 100 {
            // Closing a socket with unread input sends a reset.
            drop(client.take());
        }
    }
    pair.sender.send_line("end");
    let end = pair.received_as("end");
    lines.extend(pair.received().until(&end, |line| line == end).0);
    let left = format!("* {name} left");
    if !lines.contains(&left) {
        lines.extend(pair.received().until(&left, |line| line == left).0);
        lines.push(left.clone());
    }
    assert_eq!(lines.iter().filter(|line| **line == left).count(), 1);
    let line = pair.received_as(&text);
    assert_eq!(lines.iter().filter(|other| **other == line).count(), 500);
}

/// Step 2 has one client: the OS refuses a second one, and the chat continues. (15)
pub fn a_second_client_is_refused(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send_line("one");
    pair.expect_received("one");
    assert!(TcpStream::connect(pair.server.addr).is_err());
    let addr = pair.server.addr.to_string();
    let mut client = chat.command(&["client", &addr]);
    let mut client = Process::start(&mut client, crate::End::Piped, crate::End::Piped);
    assert_eq!(client.exit(), 1);
    pair.sender.send_line("two");
    pair.expect_received("two");
    pair.reply("three");
    pair.expect_reply("three");
}

/// SIGINT and SIGTERM cause a graceful shutdown, also during a flood: the last line to every client
/// is the goodbye. (24)
#[cfg(unix)]
pub fn sigint_and_sigterm_end_the_server_gracefully(chat: &Chat) {
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
        assert_eq!(server.process.stderr_text().lines().count(), 1);
    }
}

/// A second SIGINT ends the server at once, with exit code 130. (24)
#[cfg(unix)]
pub fn a_second_sigint_ends_the_server_at_once(chat: &Chat) {
    // Without it, the server would wait a second for the client to close its socket.
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

/// The operator's `/exit` ends the server within 2 s, even if a client never reads. (25)
pub fn the_operators_exit_ends_the_server(chat: &Chat) {
    let mut server = chat.server();
    let _never_reads = peer::connect(server.addr);
    let mut sender = server.peer();
    let mut reader = server.peer();
    let mut flood = sender.writer();
    let flooding = thread::spawn(move || {
        let text = format!("{}\n", "x".repeat(1000)).repeat(20);
        while flood.write_all(text.as_bytes()).is_ok() {}
    });
    for _ in 0..1000 {
        reader.lines.next().unwrap();
    }
    server.process.type_line("/exit");
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
    assert_eq!(reader.lines.rest().last().unwrap(), "* goodbye");
    assert_eq!(sender.lines.rest().last().unwrap(), "* goodbye");
    flooding.join().unwrap();
}

/// A server that has ended can be started again on the same port at once. (26)
pub fn a_port_can_be_used_again(chat: &Chat) {
    let mut addr = "127.0.0.1:0".to_owned();
    for _ in 0..20 {
        let mut command = chat.command(&["server", &addr]);
        let process = Process::start(&mut command, crate::End::Piped, crate::End::Piped);
        let mut server = crate::Server::wait(process);
        addr = server.addr.to_string();
        // A connection that the server closes first leaves the port in TIME_WAIT.
        let mut peer = Peer::ungreeted(server.addr);
        peer.send_line("hello");
        server.process.stdout.until("a line", |line| line.ends_with(": hello"));
        server.process.type_line("/exit");
        peer.lines.rest();
        drop(peer);
        assert_eq!(server.process.exit(), 0);
    }
}

/// A line that the operator sends before `/exit` arrives before the goodbye. (25)
pub fn the_operators_last_line_arrives_before_the_goodbye(chat: &Chat) {
    let mut server = chat.server();
    let mut peer = server.peer();
    server.process.type_bytes("last line\n/exit\nnever\n");
    assert_eq!(peer.lines.rest(), ["server: last line", "* goodbye"]);
    assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
}

/// A lost connection ends the client with exit code 1 and one line on stderr. (22)
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
    // At step 2, EOF is an orderly end.
    let endings = if chat.step() == 2 { &endings[..1] } else { &endings[..] };
    // Several times, because a read or a write may be the first to fail.
    for end in endings.iter().cycle().take(12) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = chat.client(listener.local_addr().unwrap());
        let (stream, _) = listener.accept().unwrap();
        client.type_bytes("hello\n".repeat(500));
        end(stream);
        assert_eq!(client.exit(), 1);
        let stderr = client.stderr_text();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// After `/exit`, a client waits at most one second for the goodbye. (22)
pub fn a_client_waits_one_second_for_the_goodbye(chat: &Chat) {
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
