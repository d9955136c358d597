//! Bytes in any shape, in any pieces (rows 1 to 7, 9 to 11, 30).

use std::thread;
use std::time::Duration;

use crate::{Chat, Peer};

/// As long as a piece of a line stays alone, so that reads with a timeout see it so.
const PAUSE: Duration = Duration::from_millis(250);

/// Half a line waits for the other half. (1)
pub fn half_a_line_waits(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send("hel");
    thread::sleep(PAUSE);
    pair.speaker.send("lo\n");
    pair.speaker.say("next");
    pair.hears("hello");
    pair.hears("next");
}

/// A character that is split over two reads is whole, and the next line is separate. (2)
pub fn a_split_character_survives(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send(b"caf\xc3");
    thread::sleep(PAUSE);
    pair.speaker.send(b"\xa9\nnext\n");
    pair.hears("café");
    pair.hears("next");
}

/// The pieces in which lines arrive do not matter. (3)
pub fn pieces_do_not_matter(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send("one\ntwö\nthree\n");
    for byte in "one\ntwö\nthree\n".as_bytes() {
        pair.speaker.send([*byte]);
        thread::yield_now();
    }
    for text in ["one", "twö", "three", "one", "twö", "three"] {
        pair.hears(text);
    }
}

/// What is not UTF-8 is replaced, and nothing else is. (4)
pub fn broken_utf8_is_replaced(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send(b"a\xffb\nok\n\xc3\nok\n");
    for text in ["a\u{fffd}b", "ok", "\u{fffd}", "ok"] {
        pair.hears(text);
    }
}

/// Nothing that a participant sends reaches a terminal raw. (5)
pub fn controls_are_never_raw(chat: &Chat) {
    let wild = "\0\u{7}\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}1m\u{7f}\u{202e}\u{2028}\u{2066}\r\t.";
    let shown: String = wild
        .chars()
        .map(|c| if c == '.' || c == '\t' || c.is_ascii_graphic() { c } else { '\u{fffd}' })
        .collect();
    let mut pair = chat.pair();
    pair.speaker.say(wild);
    pair.hears(&shown);
    // What is read is searched for controls: the operator's console, a client, errors.
    if chat.step() > 2 {
        let said = pair.heard_as(&shown);
        pair.server.process.stdout.until(&said, |line| line == said);
        pair.speaker.say(&format!("/{wild}"));
        pair.is_refused();
        let mut client = chat.client(pair.server.addr);
        client.stdout.until("a greeting", |line| line.starts_with("* you are "));
        pair.speaker.say(wild);
        client.stdout.until(&said, |line| line == said);
        pair.server.process.type_line(wild);
        let by_operator = format!("server: {shown}");
        client.stdout.until(&by_operator, |line| line == by_operator);
    }
}

/// CR LF is LF, and a line of blanks is nothing. (6)
pub fn line_ends_and_blanks(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send("one\r\n\r\n\n \t \n\t\r\ntwo\n three \r\n");
    for text in ["one", "two", " three "] {
        pair.hears(text);
    }
    pair.reply("  \t");
    pair.reply("four");
    pair.is_replied("four");
}

/// 4096 bytes are a line, whatever they are and however they end; one more is refused, to its
/// sender alone, and the next line is fine. (7)
pub fn the_longest_line_is_whole(chat: &Chat) {
    let mut pair = chat.pair();
    for longest in ["x".repeat(4096), "é".repeat(2048), "\u{1}".repeat(4096)] {
        for end in ["\n", "\r\n"] {
            pair.speaker.send(format!("{longest}{end}"));
            pair.hears(&longest.replace('\u{1}', "\u{fffd}"));
            pair.speaker.send(format!("{longest}x{end}next{end}"));
            pair.is_refused();
            pair.hears("next");
        }
    }
    pair.speaker.send("x".repeat(4096) + "\r");
    thread::sleep(PAUSE);
    pair.speaker.send("\n");
    pair.hears(&"x".repeat(4096));
}

/// The same through our own client, which tells its user. (7)
pub fn the_longest_line_through_our_client(chat: &Chat) {
    let mut server = chat.server();
    let (mut ears, mut client) = match chat.step() {
        2 => {
            let client = chat.client(server.addr);
            (None, client)
        }
        _ => {
            let ears = server.peer();
            let mut client = chat.client(server.addr);
            client.stdout.until("a greeting", |line| line.starts_with("* you are "));
            (Some(ears), client)
        }
    };
    for text in ["x".repeat(4096), "\u{1}".repeat(4096)] {
        client.type_bytes(format!("{text}\n{text}y\nnext\r\n"));
        for text in [text.replace('\u{1}', "\u{fffd}"), "next".into()] {
            server.ears(&mut ears).hear_said(&text);
        }
        let complaint = client.stderr.next().unwrap();
        assert!(complaint.contains("too long"), "{complaint}");
    }
}

/// `/exit` leaves, however the line ends. (9)
pub fn exit_leaves(chat: &Chat) {
    for exit in ["/exit\n", "/exit\r\n", "/exit \n", "/exit\t \r\n"] {
        let mut pair = chat.pair();
        pair.speaker.send(format!("last\n{exit}never\n"));
        pair.hears("last");
        pair.has_left();
    }
}

/// What only looks like `/exit` does not leave. (9)
pub fn what_looks_like_exit_does_not_leave(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.say(" /exit");
    pair.hears(" /exit");
    for unknown in ["/exitx", "/EXIT", "/"] {
        pair.speaker.say(unknown);
        match chat.step() {
            2 => pair.hears(unknown),
            _ => pair.is_refused(),
        }
    }
    pair.speaker.say("//exit");
    pair.hears(if chat.step() == 2 { "//exit" } else { "/exit" });
}

/// `/exit` and the end of input, without a line end, leave; nobody reads it as text. (10)
pub fn exit_without_a_line_end_leaves(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send("last\n/exit");
    pair.speaker.half_close();
    pair.hears("last");
    if chat.step() > 2 {
        let left = format!("* {} left", pair.speaker.name);
        pair.ears().expect(&left);
        assert_eq!(pair.speaker.lines.rest(), ["* goodbye"]);
    } else {
        pair.has_left();
    }
}

/// A last line without a line end is a line. (11)
pub fn the_last_line_needs_no_line_end(chat: &Chat) {
    let mut pair = chat.pair();
    pair.speaker.send("bye");
    pair.speaker.half_close();
    pair.hears("bye");
    pair.has_left();
}

/// Whatever one types, the others can tell who said it and that it was said. (30)
pub fn nobody_can_be_imitated(chat: &Chat) {
    let mut pair = chat.pair();
    let other = Peer::greeted(pair.server.addr);
    let imitated = [
        format!("{}: I owe you", other.name),
        format!("* {} left", other.name),
        "! server is full".into(),
        "* goodbye".into(),
        format!("x\r* {} left", other.name),
        format!("x\u{2028}* {} left", other.name),
        format!("{} (private): psst", other.name),
        "** server waves".into(),
    ];
    for text in imitated {
        pair.speaker.say(&text);
        let text = text.replace(['\r', '\u{2028}'], "\u{fffd}");
        let line = pair.heard_as(&text);
        pair.ears().until(&line, |heard| heard == line);
    }
}
