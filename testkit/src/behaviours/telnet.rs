//! What telnet clients send beside the text (row 57).

use crate::Chat;

/// WILL NAWS, DO SUPPRESS-GO-AHEAD: what a telnet client may send before its first line.
const NEGOTIATION: &[u8] = b"\xff\xfb\x1f\xff\xfd\x03";

/// Telnet's negotiation bytes and CR NUL are removed; the text around them arrives as typed. (57)
pub fn telnet_bytes_do_not_reach_the_text(chat: &Chat) {
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
        pair.speaker.send(line);
        pair.hears("hello");
    }
    // Split inside a command, as chunks of a stream may be.
    pair.speaker.send(b"\xff\xfb");
    pair.speaker.send(b"\x1fhello\r");
    pair.speaker.send(b"\0\n");
    pair.hears("hello");
    // Negotiation alone is an empty line, which is not relayed.
    pair.speaker.send([NEGOTIATION, b"\r\n"].concat());
    pair.speaker.say("next");
    pair.hears("next");
    pair.speaker.send([NEGOTIATION, b"/exit\r\n"].concat());
    pair.has_left();
}
