//! The operator's side of a server: keyboard, stdout and log (rows 43, 53, 54).

use std::time::{Duration, Instant};

use crate::raw::Raw;
use crate::{Chat, End, Lines, PATIENCE, Process, Server};

/// An operator with a full stdout can change its room. Only lines on stdout are lost. (43)
pub fn the_operator_can_change_rooms_with_a_full_stdout(chat: &Chat) {
    let (stdout, writer) = std::io::pipe().expect("a pipe");
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop(command);
    let mut ann = Raw::connect(server.addr).joined("rust");
    let mut bob = Raw::connect(server.addr);
    for _ in 0..375 {
        // In small chunks, so that many short replies fill up stdout, not a few long ones.
        server.process.type_bytes("/help\n".repeat(8));
        bob.round_trip();
    }
    server.process.type_bytes("/join rust\nhello\n");
    ann.until("the operator", |line| line == "* server joined");
    ann.until("its line", |line| line == "server: hello");
    ann.send_line("/who");
    let reply = ann.until("a reply", |line| line.starts_with("* 2 in rust: "));
    assert!(reply.contains("server"), "{reply}");
    // From now on the operator receives the lines of `rust`, and none of the lobby.
    let mut stdout = Lines::new("the operator's stdout", stdout);
    let line_in_room = format!("{}: here", ann.name);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        bob.send_line("elsewhere");
        bob.round_trip();
        ann.send_line("here");
        ann.round_trip();
        while let Some(Some(line)) = stdout.next_within(Duration::from_millis(10)) {
            assert!(!line.ends_with(": elsewhere"), "stdout shows the lobby");
            if line == line_in_room {
                return;
            }
        }
    }
    panic!("stdout never showed the room");
}

/// A full stderr blocks neither the server nor its clients. (53)
pub fn a_full_stderr_does_not_block_the_server(chat: &Chat) {
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    command.env("RUST_LOG", "info");
    let server = Server::wait(Process::start_with_unread_stderr(&mut command));
    let mut observer = Raw::connect(server.addr).joined("elsewhere");
    // The server logs two lines for each client, which is more than a pipe holds.
    for _ in 0..20 {
        drop(Raw::crowd(server.addr, 100));
        let wait = observer.round_trip();
        assert!(wait < Duration::from_secs(1), "{wait:?}");
    }
}

/// An invalid log filter is reported on stderr, and the server serves. (54)
pub fn an_invalid_log_filter_is_reported(chat: &Chat) {
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    command.env("RUST_LOG", "info,step5_broadcast=loud");
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Piped));
    server.peer().sync();
    let error = server.process.stderr.next_within(PATIENCE).flatten();
    let error = error.expect("an error on stderr");
    assert!(error.contains("RUST_LOG"), "{error}");
}
