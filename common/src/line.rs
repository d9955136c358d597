use std::{borrow::Cow, fmt};

/// A line as participants read it. `Display` renders it sanitised and without a line end.
///
/// Its first characters tell its kind: `* ` a notice, `! ` an error, `** ` an action, a name and
/// ` (private): ` or `: ` the rest. This holds as long as a name begins with a letter and holds
/// letters, digits, `_` and `-` only, which whoever hands out names sees to; texts are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// `NAME: TEXT`
    Said {
        /// Who says it.
        name: &'a str,
        /// What was typed.
        text: &'a str,
    },
    /// `* TEXT`: from the chat itself.
    Notice(&'a str),
    /// `! REASON`: from the chat itself, to one participant alone.
    Error(&'a str),
    /// `** NAME TEXT`
    Action {
        /// Who does it.
        name: &'a str,
        /// What was typed.
        text: &'a str,
    },
    /// `NAME (private): TEXT`, to the one addressed.
    Private {
        /// Who says it.
        name: &'a str,
        /// What was typed.
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

/// Replaces whatever could control a terminal or the order of its text by U+FFFD.
///
/// That is every C0 and C1 control but TAB, DEL, the line and paragraph separators and the Unicode
/// bidi controls. A byte grows to three at most. What is clean is not copied.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    // Without a way out of each chunk, several bytes are compared at once.
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
