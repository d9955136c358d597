//! Replays the transcript of the README.

use testkit::book::read;
use testkit::{Chat, Process};

/// Where the second column of the transcript begins.
const COLUMN: usize = 51;

/// Expects the lines of a column, up to a line that a person types. Types it.
fn play<'a>(process: &mut Process, column: &mut impl Iterator<Item = &'a str>) {
    for line in column {
        if !line.starts_with("* ") && !line.contains(": ") {
            return process.type_line(line);
        }
        process.stdout.expect(line);
    }
}

#[test]
fn the_transcript_shows_what_the_programs_print() {
    let readme = read("README.md");
    let (_, transcript) = readme.split_once("```text\n$ cargo run ").expect("a transcript");
    let rows = transcript.split("\n```").next().expect("rows").lines().skip(1);
    let columns = rows.map(|row| row.split_at_checked(COLUMN).unwrap_or((row, "")));
    let (left, right): (Vec<_>, Vec<_>) = columns.unzip();
    let (mut left, mut right) =
        [left, right].map(|column| column.into_iter().map(str::trim_end)).into();

    let chat = Chat::new(3, env!("CARGO_BIN_EXE_step3-multiclient"));
    let mut server = chat.server();
    assert!(left.next().is_some_and(|line| line.starts_with("listening on ")));
    let mut client = chat.client(server.addr);
    client.stdout.expect(right.next().expect("a greeting"));
    server.process.stdout.expect(left.next().expect("a join"));
    let mut nc = server.peer();
    nc.send_line("hello from nc");
    // Each column stops twice for a line that is typed, at most.
    for _ in 0..3 {
        play(&mut client, &mut right);
        play(&mut server.process, &mut left);
    }
    assert_eq!((left.next(), right.next()), (None, None), "lines that were not replayed");
    assert_eq!(client.exit(), 0);
}
