//! Properties that hold for any bytes in any chunks.

use common::{Input, Line, LineDecoder, LineError, MAX_EXCESS, sanitize};
use proptest::collection::vec;
use proptest::prelude::*;

type Decoded = Vec<Result<String, LineError>>;

const LIMIT: usize = 12;

fn decode<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = LineDecoder::new(limit);
    let mut lines = Decoded::new();
    for chunk in chunks {
        lines.extend(decoder.feed(chunk));
    }
    lines.extend(decoder.finish());
    lines
}

/// A simple decoder for the whole input, as the model.
fn decode_whole(limit: usize, bytes: &[u8]) -> Decoded {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut decoded = Decoded::new();
    for line in lines {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if text.len() <= limit {
            decoded.push(Ok(String::from_utf8_lossy(text).into_owned()));
            continue;
        }
        decoded.push(Err(LineError::TooLong { limit }));
        if line.len() > limit + MAX_EXCESS {
            decoded.push(Err(LineError::Unterminated));
            break;
        }
    }
    decoded
}

fn cut(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.retain(|&at| at <= bytes.len());
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|at| &bytes[at[0]..at[1]]).collect()
}

/// Bytes in which LF, CR and partial characters are frequent.
fn wild_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => any::<u8>(),
        3 => Just(b'a'),
        2 => Just(b'\n'),
        2 => Just(b'\r'),
        1 => Just(0xc3),
        1 => Just(0xa9),
    ];
    vec(byte, 0..200)
}

/// Text that often resembles another kind of line.
fn wild_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[*!:/() a-z]{0,4}",
        Just("\n* ann left".to_owned()),
        Just(" (private): ".to_owned()),
        Just("\u{1b}[2J".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("\u{2028}".to_owned()),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The kind of a line and its sender, as a reader tells them from the first characters.
fn kind(line: &str) -> (&'static str, &str) {
    if line.starts_with("* ") {
        return ("notice", "");
    }
    if line.starts_with("! ") {
        return ("error", "");
    }
    if let Some(action) = line.strip_prefix("** ") {
        return ("action", action.split(' ').next().unwrap());
    }
    let name = line.split([' ', ':']).next().unwrap();
    match line[name.len()..].starts_with(" (private): ") {
        true => ("private", name),
        false => ("said", name),
    }
}

proptest! {
    #[test]
    fn chunks_do_not_matter(bytes in wild_bytes(), cuts in vec(0..200_usize, 0..40)) {
        prop_assert_eq!(decode(LIMIT, cut(&bytes, cuts)), decode_whole(LIMIT, &bytes));
        prop_assert_eq!(decode(LIMIT, bytes.chunks(1)), decode_whole(LIMIT, &bytes));
    }

    #[test]
    fn chunks_do_not_matter_to_an_unterminated_line(
        length in MAX_EXCESS - 2..MAX_EXCESS + LIMIT + 4,
        cr in any::<bool>(),
        lf in any::<bool>(),
        size in 1..70_000_usize,
    ) {
        let mut bytes = vec![b'x'; length];
        if cr { bytes.push(b'\r'); }
        if lf { bytes.push(b'\n'); }
        bytes.extend(b"next\n");
        prop_assert_eq!(decode(LIMIT, bytes.chunks(size)), decode_whole(LIMIT, &bytes));
    }

    #[test]
    fn no_control_is_shown(text in wild_text()) {
        let shown = sanitize(&text);
        let control = |c: char| c != '\t' && c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
        prop_assert!(!shown.contains(control));
        prop_assert_eq!(shown.chars().count(), text.chars().count());
        prop_assert!(shown.len() <= 3 * text.len());
        prop_assert_eq!(sanitize(&shown), shown.as_ref());
    }

    #[test]
    fn no_text_can_imitate_another_kind_or_name(
        name in "[A-Za-z][A-Za-z0-9_-]{0,19}",
        text in wild_text(),
    ) {
        let (name, text) = (name.as_str(), text.as_str());
        for (line, expected) in [
            (Line::Said { name, text }, ("said", name)),
            (Line::Action { name, text }, ("action", name)),
            (Line::Private { name, text }, ("private", name)),
        ] {
            let shown = line.to_string();
            prop_assert_eq!(kind(&shown), expected);
            prop_assert!(!shown.contains('\n'));
        }
    }

    #[test]
    fn a_typed_line_is_text_or_a_command(line in wild_text()) {
        match Input::parse(&line) {
            Input::Exit => prop_assert_eq!(line.trim_end(), "/exit"),
            Input::Blank => prop_assert!(line.trim().is_empty()),
            Input::Text(text) if line.starts_with("//") => prop_assert_eq!(text, &line[1..]),
            Input::Text(text) => prop_assert_eq!(text, &line),
            Input::Command { name, arg } => {
                prop_assert!(line[1..].starts_with(name));
                prop_assert!(!name.contains([' ', '\t']) && line.contains(arg));
            }
        }
    }
}

#[test]
fn slashes_are_parsed() {
    let command = |name, arg| Input::Command { name, arg };
    for (line, expected) in [
        ("/exit", Input::Exit),
        ("/exit \t\r", Input::Exit),
        (" /exit", Input::Text(" /exit")),
        ("//exit", Input::Text("/exit")),
        ("/exitx", command("exitx", "")),
        ("/EXIT", command("EXIT", "")),
        ("/exit now", command("exit", "now")),
        ("/msg ann  a b ", command("msg", "ann  a b")),
        ("/", command("", "")),
        ("", Input::Blank),
        (" \t", Input::Blank),
        (" a ", Input::Text(" a ")),
    ] {
        assert_eq!(Input::parse(line), expected, "{line:?}");
    }
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_before_either_line_end() {
    let bytes = b"123456789012\r\n123456789012\n1234567890123\nok\n123456789012\r";
    let full = || Ok("123456789012".to_owned());
    let too_long = Err(LineError::TooLong { limit: LIMIT });
    let expected = [full(), full(), too_long, Ok("ok".to_owned()), full()];
    for size in 1..bytes.len() {
        assert_eq!(decode(LIMIT, bytes.chunks(size)), expected, "chunks of {size}");
    }
}

#[test]
fn telnet_commands_are_removed() {
    let mut decoder = LineDecoder::for_telnet(40);
    let bytes =
        b"\r\0\xff\xfb\x1f\xff\xfd\x03hello\r\n\xff\xf1a\xffb\xc3\xa9\r\0\n\xff\nx\xff\xfb\n";
    let lines: Vec<_> = decoder.feed(bytes).map(Result::unwrap).collect();
    // A byte 255 that begins no telnet command is invalid UTF-8.
    assert_eq!(lines, ["hello", "a\u{fffd}b\u{e9}", "\u{fffd}", "x\u{fffd}\u{fffd}"]);
}
