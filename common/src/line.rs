use std::borrow::Cow;
use std::fmt;

/// A line as a server sends it. `Display` renders it sanitized and without a line end.
///
/// Its first characters show its kind: `* ` a notice, `! ` an error, `** ` an action; a name
/// followed by ` (private): ` a private message, a name followed by `: ` something said.
///
/// No text can imitate another kind or another author, because a name begins with a letter and
/// contains only letters, digits, `_` and `-`. In step 6, a member of another node is `NAME@NODE`. `@`
/// is in no other name, so no name can imitate that. The code that assigns names guarantees this;
/// the text may contain anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// `NAME: TEXT`
    Said {
        /// The author.
        name: &'a str,
        /// The text as typed.
        text: &'a str,
    },
    /// `* TEXT`: from the server.
    Notice(&'a str),
    /// `! REASON`: from the server, to one client alone.
    Error(&'a str),
    /// `** NAME TEXT`
    Action {
        /// The author.
        name: &'a str,
        /// The text as typed.
        text: &'a str,
    },
    /// `NAME (private): TEXT`, to the addressee alone.
    Private {
        /// The author.
        name: &'a str,
        /// The text as typed.
        text: &'a str,
    },
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, name, between, text) = match *self {
            Self::Said { name, text } => ("", name, ": ", text),
            Self::Notice(text) => ("* ", "", "", text),
            Self::Error(reason) => ("! ", "", "", reason),
            Self::Action { name, text } => ("** ", name, " ", text),
            Self::Private { name, text } => ("", name, " (private): ", text),
        };
        f.write_str(before)?;
        f.write_str(&sanitize(name))?;
        f.write_str(between)?;
        f.write_str(&sanitize(text))
    }
}

/// Replaces every character that could control a terminal, or the order of its text, by U+FFFD.
///
/// These are the C0 and C1 controls except TAB, DEL, the line and paragraph separators and the
/// Unicode bidi controls. A byte grows to three bytes at most. Clean text is not copied.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    // Without an early exit from a chunk, the compiler compares several bytes at once.
    let all_plain = |chunk: &[u8]| chunk.iter().fold(true, |all, byte| all & plain(byte));
    if text.as_bytes().chunks(32).all(all_plain) || !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_control, "\u{fffd}"))
}

fn is_control(c: char) -> bool {
    match c {
        '\t' => false,
        '\u{2028}' | '\u{2029}' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => true,
        '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}
