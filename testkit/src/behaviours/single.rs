//! One process, one console (step 1).

use std::time::Duration;

use crate::Chat;

/// Each line comes back, and the end of input ends the program.
pub fn each_line_comes_back(chat: &Chat) {
    let mut program = chat.alone();
    program.type_line("one");
    program.stdout.expect("peer: one");
    program.type_bytes("//two\r\n \t\nthree");
    program.close_stdin();
    assert_eq!(program.stdout.rest(), ["peer: //two", "peer: three"]);
    assert_eq!(program.exit(), 0);
}

/// A thousand lines at once pass through channels that hold sixteen.
pub fn more_lines_than_the_channels_hold(chat: &Chat) {
    let mut program = chat.alone();
    let lines: Vec<_> = (0..1000).map(|n| format!("line {n}")).collect();
    program.type_bytes(lines.join("\n"));
    program.close_stdin();
    let expected: Vec<_> = lines.iter().map(|line| format!("peer: {line}")).collect();
    assert_eq!(program.stdout.rest(), expected);
    assert_eq!(program.exit(), 0);
}

/// `/exit` ends the program while its stdin stays open; what looks like it does not.
pub fn exit_ends_it_without_enter(chat: &Chat) {
    let mut program = chat.alone();
    program.type_bytes(" /exit\n/exitx\n/EXIT\n/exit \nlost\n");
    let shown = program.stdout.rest();
    assert_eq!(shown, ["peer:  /exit", "peer: /exitx", "peer: /EXIT"]);
    assert_eq!(program.exit_within(Duration::from_millis(300)), 0);
}

/// Too long a line is told and skipped; one of 4096 bytes is whole; controls are not shown.
pub fn odd_lines_are_safe(chat: &Chat) {
    let mut program = chat.alone();
    let longest = "x".repeat(4096);
    program.type_bytes(format!("{longest}\r\n{longest}x\n\u{1b}[2J\u{7}\n"));
    program.type_bytes(b"a\xffb\n");
    program.stdout.expect(&format!("peer: {longest}"));
    program.stdout.expect("peer: \u{fffd}[2J\u{fffd}");
    program.stdout.expect("peer: a\u{fffd}b");
    assert!(program.stderr.next().unwrap().contains("too long"));
}

/// A line that never ends ends the program with 1.
pub fn a_typed_flood_is_an_error(chat: &Chat) {
    let mut program = chat.alone();
    program.type_bytes(vec![b'x'; 80_000]);
    assert_eq!(program.exit(), 1);
    assert!(program.complaints().contains("unterminated"));
}

/// A closed stdout ends the program with 0.
pub fn a_closed_screen_ends_it(chat: &Chat) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = chat.command(&[]);
    let mut program =
        crate::Process::start(&mut command, crate::End::Piped, crate::End::Pipe(writer));
    drop(command);
    program.type_line("one");
    assert_eq!(program.exit(), 0);
    assert_eq!(program.complaints(), "");
}
