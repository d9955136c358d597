//! Lines from arbitrary bytes in arbitrary chunks (rows 1 to 7, 9 to 11, 30).

use std::thread;
use std::time::Duration;

use crate::{Chat, Peer};

/// The pause after a partial line, long enough for a read with a timeout to return it alone.
const PAUSE: Duration = Duration::from_millis(250);

/// A partial line is buffered until the rest arrives. (1)
pub fn a_partial_line_is_buffered(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send("hel");
    thread::sleep(PAUSE);
    pair.sender.send("lo\n");
    pair.sender.send_line("next");
    pair.expect_received("hello");
    pair.expect_received("next");
}

/// A character that is split across two reads is decoded, and the next line is separate. (2)
pub fn a_split_character_survives(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send(b"caf\xc3");
    thread::sleep(PAUSE);
    pair.sender.send(b"\xa9\nnext\n");
    pair.expect_received("café");
    pair.expect_received("next");
}

/// The same lines arrive whatever the chunks in which their bytes were sent. (3)
pub fn chunk_boundaries_do_not_matter(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send("one\ntwö\nthree\n");
    for byte in "one\ntwö\nthree\n".as_bytes() {
        pair.sender.send([*byte]);
        thread::yield_now();
    }
    for text in ["one", "twö", "three", "one", "twö", "three"] {
        pair.expect_received(text);
    }
}

/// Invalid UTF-8 is replaced, and valid text is not changed. (4)
pub fn invalid_utf8_is_replaced(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send(b"a\xffb\nok\n\xc3\nok\n");
    for text in ["a\u{fffd}b", "ok", "\u{fffd}", "ok"] {
        pair.expect_received(text);
    }
}

/// Control characters from a client are replaced before they reach a socket or a console. (5)
pub fn control_characters_are_replaced(chat: &Chat) {
    let wild = "\0\u{7}\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}1m\u{7f}\u{202e}\u{2028}\u{2066}\r\t.";
    let shown: String = wild
        .chars()
        .map(|c| if c == '.' || c == '\t' || c.is_ascii_graphic() { c } else { '\u{fffd}' })
        .collect();
    let mut pair = chat.pair();
    pair.sender.send_line(wild);
    pair.expect_received(&shown);
    // `Lines` fails on raw control characters. This covers the operator's console, a client,
    // errors.
    if chat.step() > 2 {
        let by_sender = pair.received_as(&shown);
        pair.server.process.stdout.until(&by_sender, |line| line == by_sender);
        pair.sender.send_line(&format!("/{wild}"));
        pair.expect_refusal();
        let mut client = chat.client(pair.server.addr);
        client.stdout.until("a greeting", |line| line.starts_with("* you are "));
        pair.sender.send_line(wild);
        client.stdout.until(&by_sender, |line| line == by_sender);
        pair.server.process.type_line(wild);
        let by_operator = format!("server: {shown}");
        client.stdout.until(&by_operator, |line| line == by_operator);
    }
}

/// CR LF ends a line like LF, and lines of whitespace are ignored. (6)
pub fn crlf_ends_a_line_and_blank_lines_are_ignored(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send("one\r\n\r\n\n \t \n\t\r\ntwo\n three \r\n");
    for text in ["one", "two", " three "] {
        pair.expect_received(text);
    }
    pair.reply("  \t");
    pair.reply("four");
    pair.expect_reply("four");
}

/// A line of 4096 bytes arrives whole. A longer line is an error to its sender, and the next line
/// arrives. (7)
pub fn only_lines_over_4096_bytes_are_refused(chat: &Chat) {
    let mut pair = chat.pair();
    for longest in ["x".repeat(4096), "é".repeat(2048), "\u{1}".repeat(4096)] {
        for end in ["\n", "\r\n"] {
            pair.sender.send(format!("{longest}{end}"));
            pair.expect_received(&longest.replace('\u{1}', "\u{fffd}"));
            pair.sender.send(format!("{longest}x{end}next{end}"));
            pair.expect_refusal();
            pair.expect_received("next");
        }
    }
    pair.sender.send("x".repeat(4096) + "\r");
    thread::sleep(PAUSE);
    pair.sender.send("\n");
    pair.expect_received(&"x".repeat(4096));
}

/// Our client sends a line of 4096 bytes, and reports a longer one to its user. (7)
pub fn our_client_refuses_only_lines_over_4096_bytes(chat: &Chat) {
    let mut server = chat.server();
    let mut reader = (chat.step() > 2).then(|| server.peer());
    let mut client = chat.client(server.addr);
    if reader.is_some() {
        client.stdout.until("a greeting", |line| line.starts_with("* you are "));
    }
    for text in ["x".repeat(4096), "\u{1}".repeat(4096)] {
        client.type_bytes(format!("{text}\n{text}y\nnext\r\n"));
        for text in [text.replace('\u{1}', "\u{fffd}"), "next".into()] {
            server.received_by(&mut reader).expect_text(&text);
        }
        let error = client.stderr.next().unwrap();
        assert!(error.contains("too long"), "{error}");
    }
}

/// `/exit` leaves, also before trailing whitespace and CR LF. (9)
pub fn exit_leaves(chat: &Chat) {
    for exit in ["/exit\n", "/exit\r\n", "/exit \n", "/exit\t \r\n"] {
        let mut pair = chat.pair();
        pair.sender.send(format!("last\n{exit}never\n"));
        pair.expect_received("last");
        pair.expect_left();
    }
}

/// A line that only resembles `/exit` does not leave. (9)
pub fn lines_similar_to_exit_do_not_leave(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send_line(" /exit");
    pair.expect_received(" /exit");
    for unknown in ["/exitx", "/EXIT", "/"] {
        pair.sender.send_line(unknown);
        match chat.step() {
            2 => pair.expect_received(unknown),
            _ => pair.expect_refusal(),
        }
    }
    pair.sender.send_line("//exit");
    pair.expect_received(if chat.step() == 2 { "//exit" } else { "/exit" });
}

/// `/exit` followed by EOF leaves without a newline, and is not delivered as text. (10)
pub fn exit_without_a_line_end_leaves(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send("last\n/exit");
    pair.sender.half_close();
    pair.expect_received("last");
    if chat.step() > 2 {
        let left = format!("* {} left", pair.sender.name);
        pair.received().expect(&left);
        assert_eq!(pair.sender.lines.rest(), ["* goodbye"]);
    } else {
        pair.expect_left();
    }
}

/// A last line that is followed by EOF without a newline is delivered. (11)
pub fn the_last_line_needs_no_line_end(chat: &Chat) {
    let mut pair = chat.pair();
    pair.sender.send("bye");
    pair.sender.half_close();
    pair.expect_received("bye");
    pair.expect_left();
}

/// A client cannot send a line that looks like a notice, an error or another client's line. (30)
pub fn no_client_can_impersonate_another(chat: &Chat) {
    let mut pair = chat.pair();
    let other = Peer::greeted(pair.server.addr);
    let imitations = [
        format!("{}: I owe you", other.name),
        format!("* {} left", other.name),
        "! server is full".into(),
        "* goodbye".into(),
        format!("x\r* {} left", other.name),
        format!("x\u{2028}* {} left", other.name),
        format!("{} (private): psst", other.name),
        "** server waves".into(),
    ];
    for text in imitations {
        pair.sender.send_line(&text);
        let text = text.replace(['\r', '\u{2028}'], "\u{fffd}");
        let line = pair.received_as(&text);
        pair.received().until(&line, |received| received == line);
    }
}
