/// The meaning of a typed line. Lines travel as typed; the receiver parses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// `/exit`: leave.
    Exit,
    /// Only whitespace: ignored.
    Blank,
    /// Text for the others. A doubled slash at its beginning is reduced to a single one.
    Text(&'a str),
    /// A slash in the first column and a name, then whitespace and an argument, which may be empty.
    Command {
        /// The name as typed, without the slash. Known commands are lower case.
        name: &'a str,
        /// The argument, without the whitespace around it.
        arg: &'a str,
    },
}

/// Whitespace within a line. A CR is left over from a line end such as CR CR LF.
const WHITESPACE: [char; 3] = [' ', '\t', '\r'];

impl<'a> Input<'a> {
    /// Parses one line, given without its line end.
    ///
    /// Whitespace at the end of a command does not matter, so `/exit ` leaves. Whitespace before a
    /// slash does: ` /exit` is text, and so is `//exit`, which says `/exit` from step 3 on.
    /// `/exitx`, `/EXIT` and
    /// `/exit now` are unknown commands.
    pub fn parse(line: &'a str) -> Self {
        let trimmed = line.trim_end_matches(WHITESPACE);
        if trimmed.is_empty() {
            return Self::Blank;
        }
        match line.strip_prefix('/') {
            None => Self::Text(line),
            Some(text) if text.starts_with('/') => Self::Text(text),
            Some(_) if trimmed == "/exit" => Self::Exit,
            Some(_) => {
                let command = &trimmed[1..];
                let (name, arg) = command.split_once(WHITESPACE).unwrap_or((command, ""));
                let arg = arg.trim_start_matches(WHITESPACE);
                Self::Command { name, arg }
            }
        }
    }
}
