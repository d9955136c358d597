/// What a line that somebody typed asks for. Who receives it parses it; it travels as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// `/exit`: leave.
    Exit,
    /// Blanks and tabs only: ignored.
    Blank,
    /// Something to say. A doubled slash at its beginning has become a single one.
    Text(&'a str),
    /// A slash in the first column and a name, then blanks and an argument, which may be empty.
    Command {
        /// As typed, without the slash. The names of commands are lower case.
        name: &'a str,
        /// Without the blanks around it.
        arg: &'a str,
    },
}

/// Invisible at the end of a line: a CR is what is left of a line end such as CR CR LF.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

impl<'a> Input<'a> {
    /// Reads one line, given without its line end.
    ///
    /// Blanks at the end of a command do not matter, so `/exit ` leaves. Blanks before a slash do:
    /// ` /exit` is text, and so is `//exit`, which says `/exit`. `/exitx`, `/EXIT` and `/exit now`
    /// are commands that nobody knows.
    pub fn parse(line: &'a str) -> Self {
        let trimmed = line.trim_end_matches(BLANKS);
        if trimmed.is_empty() {
            return Self::Blank;
        }
        match line.strip_prefix('/') {
            None => Self::Text(line),
            Some(text) if text.starts_with('/') => Self::Text(text),
            Some(_) if trimmed == "/exit" => Self::Exit,
            Some(_) => {
                let command = &trimmed[1..];
                let (name, arg) = command.split_once(BLANKS).unwrap_or((command, ""));
                let arg = arg.trim_start_matches(BLANKS);
                Self::Command { name, arg }
            }
        }
    }
}
