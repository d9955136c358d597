//! Telnet clients, which also send negotiation bytes (row 57).

use crate::Chat;

/// WILL NAWS and DO SUPPRESS-GO-AHEAD, which a telnet client may send before its first line.
const NEGOTIATION: &[u8] = b"\xff\xfb\x1f\xff\xfd\x03";

/// Telnet's negotiation bytes and CR NUL are removed; the text around them arrives as typed. (57)
pub fn telnet_negotiation_is_removed(chat: &Chat) {
    let mut pair = chat.pair();
    let lines: [&[u8]; 5] = [
        &[NEGOTIATION, b"hello\r\n"].concat(),
        b"hello\r\0\n",
        b"\r\0hello\r\n",
        &[b"hel", NEGOTIATION, b"lo\n"].concat(),
        // Interrupt, a command of two bytes.
        b"\xff\xf4hello\n",
    ];
    for line in lines {
        pair.sender.send(line);
        pair.expect_received("hello");
    }
    // A telnet command and a CR NUL that are split across two chunks.
    pair.sender.send(b"\xff\xfb");
    pair.sender.send(b"\x1fhello\r");
    pair.sender.send(b"\0\n");
    pair.expect_received("hello");
    // Negotiation alone is an empty line, which is not relayed.
    pair.sender.send([NEGOTIATION, b"\r\n"].concat());
    pair.sender.send_line("next");
    pair.expect_received("next");
    pair.sender.send([NEGOTIATION, b"/exit\r\n"].concat());
    pair.expect_left();
}
