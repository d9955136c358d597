//! The behaviour of the client on a terminal.
#![cfg(unix)]

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use testkit::{Chat, Lines, PATIENCE, Peer, Server, Terminal};

fn chat() -> Chat {
    Chat::new(5, env!("CARGO_BIN_EXE_step5-broadcast"))
}

/// A server with two clients: ann, a raw peer, and bob, our client on a terminal.
struct Room {
    server: Server,
    ann: Peer,
    bob: Terminal,
}

fn room(variables: &[(&str, &str)]) -> Room {
    let server = chat().server();
    let mut ann = server.peer();
    ann.send_line("/nick ann");
    let bob = chat().terminal(server.addr, &["--name", "bob"], variables);
    ann.lines.expect_after_notices("* guest-2 is now bob");
    Room { server, ann, bob }
}

impl Room {
    /// Sends lines from ann, and waits until bob's terminal shows the last one.
    fn burst(&mut self, count: usize) {
        let lines: String = (0..count).map(|n| format!("line {n}\n")).collect();
        self.ann.send(lines);
        self.bob.wait_for(&format!("ann: line {}", count - 1));
    }

    /// The next line from bob.
    fn received(&mut self) -> String {
        self.ann.lines.until("bob", |line| line.starts_with("bob: ")).1
    }
}

/// The lines of a burst that the terminal shows.
fn burst_shown(bob: &Terminal) -> Vec<String> {
    let mut shown = bob.shown();
    shown.retain(|line| line.starts_with("ann: line "));
    shown
}

fn burst_expected(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ann: line {n}")).collect()
}

#[test]
fn a_draft_survives_incoming_lines() {
    let mut room = room(&[]);
    room.bob.press("hel");
    room.bob.wait_for("> hel");
    room.burst(200);
    assert_eq!(burst_shown(&room.bob), burst_expected(200));
    // The editor redraws the draft after the last line.
    let deadline = Instant::now() + PATIENCE;
    while room.bob.shown().last().unwrap() != "> hel" {
        assert!(Instant::now() < deadline, "no draft at the bottom");
        thread::yield_now();
    }
    room.bob.press("lo\r");
    assert_eq!(room.received(), "bob: hello");
    room.bob.wait_for("> hello");
}

#[test]
fn a_burst_is_shown_whole_and_in_order_while_the_user_types() {
    let mut room = room(&[]);
    let mut typed = String::new();
    for round in 0..50_u8 {
        let lines: String =
            (0..100).map(|n| format!("line {}\n", u32::from(round) * 100 + n)).collect();
        room.ann.send(lines);
        let letter = char::from(b'a' + round % 26);
        room.bob.press(&letter.to_string());
        typed.push(letter);
        if round % 10 == 9 {
            room.bob.press("\r");
            assert_eq!(room.received(), format!("bob: {typed}"));
            typed.clear();
        }
    }
    room.bob.wait_for("ann: line 4999");
    assert_eq!(burst_shown(&room.bob), burst_expected(5000));
}

/// Ends the chat with `end`, and expects that the terminal's settings are restored.
fn leaves(end: impl FnOnce(&mut Room)) -> (ExitStatus, Vec<String>) {
    let server = chat().server();
    let ann = server.peer();
    let plain = chat().terminal(server.addr, &[], &[("TERM", "dumb")]);
    plain.wait_for("* you are guest-2");
    let before = plain.settings();
    drop(plain);
    let bob = chat().terminal(server.addr, &[], &[]);
    bob.wait_for("* you are in lobby");
    bob.wait_for(">");
    assert_ne!(bob.settings(), before, "no editor");
    let mut room = Room { server, ann, bob };
    end(&mut room);
    let status = room.bob.exit_within(Duration::from_secs(3));
    assert_eq!(room.bob.settings(), before);
    assert!(room.bob.raw().contains("\x1b[?2004l"));
    (status, room.bob.shown())
}

#[test]
fn exit_leaves() {
    let (status, shown) = leaves(|room| room.bob.press("/exit\r"));
    assert_eq!(status.code(), Some(0));
    assert_eq!(shown.iter().filter(|line| *line == "* goodbye").count(), 1);
}

#[test]
fn ctrl_d_leaves() {
    let (status, shown) = leaves(|room| room.bob.press("\x04"));
    assert_eq!(status.code(), Some(0));
    assert!(shown.contains(&"* goodbye".into()));
}

#[test]
fn ctrl_c_clears_the_draft_and_then_leaves() {
    let (status, shown) = leaves(|room| {
        room.bob.press("not this\x03this\r");
        assert_eq!(room.ann.lines.until("this", |line| line.contains(": ")).1, "guest-3: this");
        room.bob.press("\x03");
    });
    assert_eq!(status.code(), Some(0));
    assert!(shown.contains(&"* goodbye".into()));
}

#[test]
fn the_servers_goodbye_is_shown_in_mid_draft() {
    let (status, shown) = leaves(|room| {
        room.bob.press("a draft");
        room.bob.wait_for("> a draft");
        room.server.process.type_line("/exit");
    });
    assert_eq!(status.code(), Some(0));
    assert!(shown.contains(&"* goodbye".into()));
    assert_eq!(shown.last().unwrap(), "> a draft");
}

#[test]
fn a_lost_connection_is_reported_with_its_cause() {
    let (status, shown) = leaves(|room| {
        room.bob.press("a draft");
        room.bob.wait_for("> a draft");
        room.server.process.signal("KILL");
    });
    assert_eq!(status.code(), Some(1));
    assert!(shown.last().unwrap().starts_with("error: the chat ended: "), "{shown:?}");
}

#[test]
fn signals_restore_the_terminal_and_end_the_client() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let (status, shown) = leaves(|room| {
            room.bob.press("a draft");
            room.bob.wait_for("> a draft");
            room.bob.signal(signal);
        });
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert_eq!(shown.last().unwrap(), "> a draft");
    }
}

#[test]
fn a_sigint_from_another_process_leaves() {
    let (status, shown) = leaves(|room| {
        room.bob.press("a draft");
        room.bob.wait_for("> a draft");
        room.bob.signal(Signal::INT);
    });
    assert_eq!(status.code(), Some(0));
    assert!(shown.contains(&"* goodbye".into()));
}

/// A listener whose connections buffer less than 100 KB of unread bytes.
fn narrow_listener() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // The defaults on loopback, segments of 64 KiB, let the sender's buffer grow to 2.5 MB.
    socket.set_tcp_mss(536)?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(8)?;
    Ok(socket.into())
}

/// Pastes and types until the editor refuses a line.
fn fill(bob: &mut Terminal) {
    let pasted = vec!["x".repeat(1000); 120].join("\r");
    bob.press(&format!("\x1b[200~{pasted}\x1b[201~\r"));
    let refused = |line: &str| line == "! not sent: the server is not reading";
    for round in 0..100 {
        let last = format!("round {round}");
        bob.press(&format!("{}{last}\r", "x\r".repeat(50)));
        let shown = bob
            .until("a reply from the editor", |line| refused(line) || line == format!("> {last}"));
        if shown.iter().any(|line| refused(line)) {
            return;
        }
    }
    panic!("the editor accepted every line");
}

#[test]
fn a_client_can_leave_a_server_that_does_not_read() {
    let ways: [fn(&mut Terminal); 3] =
        [|bob| bob.press("\x03\x03"), |bob| bob.press("\x03\x04"), |bob| bob.signal(Signal::INT)];
    for leave in ways {
        let listener = narrow_listener().expect("a listener");
        let addr = listener.local_addr().expect("an address");
        let plain = chat().terminal(addr, &[], &[("TERM", "dumb")]);
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"* hello\n").expect("a client");
        plain.wait_for("* hello");
        let before = plain.settings();
        drop(plain);

        let mut bob = chat().terminal(addr, &[], &[]);
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"* hello\n").expect("a client");
        bob.wait_for("* hello");
        bob.wait_for(">");
        fill(&mut bob);
        leave(&mut bob);
        let status = bob.exit_within(Duration::from_secs(2));
        assert_eq!(status.code(), Some(1));
        assert_eq!(bob.settings(), before);
        let shown = bob.shown();
        assert_eq!(shown.last().unwrap(), "error: the chat ended: timed out");
    }
}

#[test]
fn a_refused_draft_stays_in_the_editor() {
    let listener = narrow_listener().expect("a listener");
    let addr = listener.local_addr().expect("an address");
    let mut bob = chat().terminal(addr, &[], &[]);
    let (stream, _) = listener.accept().expect("a client");
    bob.wait_for(">");
    fill(&mut bob);
    bob.press("\x03the last word\r");
    bob.until("the draft", |line| line == "> the last word");
    // Once the server reads again, Enter sends the draft.
    let mut received = Lines::new("the server", stream);
    received.until("round 0", |line| line == "round 0");
    bob.press("\r");
    received.until("the last word", |line| line == "the last word");
}

#[test]
fn tab_completes_commands_names_and_rooms() {
    let mut room = room(&[]);
    room.ann.send_line("/me waves");
    room.bob.wait_for("** ann waves");
    room.bob.press("/m\t");
    room.bob.wait_for("* /me, /msg");
    room.bob.press("\x03/wh\t\r");
    room.bob.wait_for("* 3 in lobby: server, ann, bob");
    room.bob.press("/jo\tattic\r");
    room.bob.wait_for("* you are in attic");
    room.bob.press("/join lob\t\r");
    room.bob.until("a second lobby", |line| line == "> /join lobby");
    room.ann.lines.expect_after_notices("* bob left");
    room.ann.lines.expect_after_notices("* bob joined");
    room.bob.press("hello A\t\r");
    assert_eq!(room.received(), "bob: hello ann");
}

#[test]
fn arrow_keys_recall_earlier_lines() {
    let mut room = room(&[]);
    room.bob.press("one\rtwo\r");
    assert_eq!(room.received(), "bob: one");
    assert_eq!(room.received(), "bob: two");
    room.bob.press("dra\x1b[A\x1b[A\x1b[A\r");
    assert_eq!(room.received(), "bob: one");
    room.bob.press("dra\x1b[A\x1b[A\x1b[B\x1b[B\x1b[Bft\r");
    assert_eq!(room.received(), "bob: draft");
    room.bob.press("\x1b[D\x1b[Aa\x1b[D\x1b[Db\r");
    assert_eq!(room.received(), "bob: drafbta");
}

#[test]
fn a_paste_sends_every_line() {
    let mut room = room(&[]);
    room.bob.press("one\rtwo\nthree\r\n\rfour\r");
    for text in ["one", "two", "three", "four"] {
        assert_eq!(room.received(), format!("bob: {text}"));
    }
    // Bracketed paste, as some terminals send it.
    room.bob.press("\x1b[200~five\rsix\rseven\x1b[201~\r");
    for text in ["five", "six", "seven"] {
        assert_eq!(room.received(), format!("bob: {text}"));
    }
    let lines: Vec<_> = (0..500).map(|n| format!("pasted {n}")).collect();
    room.bob.press(&(lines.join("\r") + "\r"));
    for line in lines {
        assert_eq!(room.received(), format!("bob: {line}"));
    }
}

#[test]
fn no_color_turns_colours_off() {
    for (variables, colours) in
        [(&[][..], true), (&[("NO_COLOR", "")], true), (&[("NO_COLOR", "1")], false)]
    {
        let mut room = room(variables);
        room.ann.send_line("hello");
        room.bob.wait_for("ann: hello");
        room.bob.press("/nope\r");
        room.bob.wait_for("! unknown command: /nope");
        assert_eq!(room.bob.raw().contains("\x1b[36m* you are bob\x1b[0m"), colours);
        assert_eq!(room.bob.raw().contains("\x1b[31m"), colours);
        assert_eq!(room.bob.raw().contains("\x1b[0m: hello"), colours);
    }
}

#[test]
fn odd_input_does_not_damage_the_draft() {
    let mut room = room(&[]);
    room.bob.press("dra");
    room.bob.wait_for("> dra");
    room.bob.press_bytes(b"\xff");
    room.burst(3);
    room.bob.press("ft\r");
    assert_eq!(room.received(), "bob: draft");
    room.bob.resize(5, 20);
    room.bob.press("a line that is longer than the window is wide\x01\x05!\r");
    assert_eq!(room.received(), "bob: a line that is longer than the window is wide!");
    for (rows, columns) in [(2, 10), (3, 4), (24, 80)] {
        room.bob.resize(rows, columns);
        room.bob.press("tiny\r");
        assert_eq!(room.received(), "bob: tiny");
    }
    let long = "x".repeat(4097);
    room.bob.press(&format!("\x1b[200~{long}\x1b[201~\r\x7f\r"));
    assert_eq!(room.received(), format!("bob: {}", "x".repeat(4096)));
    room.bob.until("a reason", |line| line.contains("at most 4096 bytes"));
}

#[test]
fn a_draft_survives_a_suspend() {
    let mut room = room(&[]);
    room.bob.press("dra");
    room.bob.wait_for("> dra");
    let settings = room.bob.settings();
    room.bob.suspend();
    room.burst(3);
    let deadline = Instant::now() + PATIENCE;
    while room.bob.settings() != settings {
        assert!(Instant::now() < deadline, "the editor did not set the terminal again");
        thread::yield_now();
    }
    room.bob.press("ft\r");
    assert_eq!(room.received(), "bob: draft");
}

#[test]
fn a_refused_name_is_reported() {
    let server = chat().server();
    let mut bob = chat().terminal(server.addr, &["--name", "server"], &[]);
    bob.until("a refusal", |line| line.starts_with("! "));
    bob.press("/who\r");
    bob.wait_for("* 2 in lobby: server, guest-1");
    bob.press("\x04");
    assert_eq!(bob.exit().code(), Some(0));
}

#[test]
fn a_dumb_terminal_has_no_line_editing() {
    let mut room = room(&[("TERM", "dumb")]);
    room.bob.press("hello\n");
    assert_eq!(room.received(), "bob: hello");
    room.bob.press("\x04");
    assert_eq!(room.bob.exit().code(), Some(0));
    assert!(!room.bob.raw().contains('\x1b'));
}
