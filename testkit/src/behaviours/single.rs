//! One process with one console (step 1).

use std::time::Duration;

use crate::Chat;

/// The peer echoes each line, and EOF ends the program.
pub fn each_line_is_echoed(chat: &Chat) {
    let mut program = chat.alone();
    program.type_line("one");
    program.stdout.expect("peer: one");
    program.type_bytes("//two\r\n \t\nthree");
    program.close_stdin();
    assert_eq!(program.stdout.rest(), ["peer: //two", "peer: three"]);
    assert_eq!(program.exit(), 0);
}

/// A thousand lines at once all pass through channels with a capacity of sixteen.
pub fn full_channels_lose_no_line(chat: &Chat) {
    let mut program = chat.alone();
    let lines: Vec<_> = (0..1000).map(|n| format!("line {n}")).collect();
    program.type_bytes(lines.join("\n"));
    program.close_stdin();
    let expected: Vec<_> = lines.iter().map(|line| format!("peer: {line}")).collect();
    assert_eq!(program.stdout.rest(), expected);
    assert_eq!(program.exit(), 0);
}

/// `/exit` ends the program while its stdin is open. A line that only resembles it does not.
pub fn exit_ends_the_program_while_stdin_is_open(chat: &Chat) {
    let mut program = chat.alone();
    program.type_bytes(" /exit\n/exitx\n/EXIT\n/exit \nlost\n");
    let shown = program.stdout.rest();
    assert_eq!(shown, ["peer:  /exit", "peer: /exitx", "peer: /EXIT"]);
    assert_eq!(program.exit_within(Duration::from_millis(300)), 0);
}

/// A line over 4096 bytes is reported and skipped, and control characters are replaced.
pub fn long_lines_are_skipped_and_controls_replaced(chat: &Chat) {
    let mut program = chat.alone();
    let longest = "x".repeat(4096);
    program.type_bytes(format!("{longest}\r\n{longest}x\n\u{1b}[2J\u{7}\n"));
    program.type_bytes(b"a\xffb\n");
    program.stdout.expect(&format!("peer: {longest}"));
    program.stdout.expect("peer: \u{fffd}[2J\u{fffd}");
    program.stdout.expect("peer: a\u{fffd}b");
    assert!(program.stderr.next().unwrap().contains("too long"));
}

/// An unterminated line ends the program with exit code 1.
pub fn an_unterminated_typed_line_is_an_error(chat: &Chat) {
    let mut program = chat.alone();
    program.type_bytes(vec![b'x'; 80_000]);
    assert_eq!(program.exit(), 1);
    assert!(program.stderr_text().contains("unterminated"));
}

/// A closed stdout ends the program with exit code 0.
pub fn a_closed_stdout_ends_the_program(chat: &Chat) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = chat.command(&[]);
    let mut program =
        crate::Process::start(&mut command, crate::End::Piped, crate::End::Pipe(writer));
    drop(command);
    program.type_line("one");
    assert_eq!(program.exit(), 0);
    assert_eq!(program.stderr_text(), "");
}
