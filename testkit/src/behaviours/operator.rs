//! The operator's side of a server: keyboard, screen and log (rows 43, 53, 54).

use std::time::{Duration, Instant};

use crate::raw::Raw;
use crate::{Chat, End, Lines, PATIENCE, Process, Server};

/// An operator that types more than its full screen shows is where the server takes it to be. Only
/// lines on the screen are lost. (43)
pub fn a_full_screen_hides_no_change_of_room(chat: &Chat) {
    let (screen, writer) = std::io::pipe().expect("a pipe");
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop(command);
    let mut ann = Raw::connect(server.addr).joined("rust");
    let mut bob = Raw::connect(server.addr);
    for _ in 0..375 {
        // In pieces, so that the screen fills up by many answers rather than by long ones.
        server.process.type_bytes("/help\n".repeat(8));
        bob.round_trip();
    }
    server.process.type_bytes("/join rust\nhello\n");
    ann.until("the operator", |line| line == "* server joined");
    ann.until("its line", |line| line == "server: hello");
    ann.say("/who");
    let who = ann.until("an answer", |line| line.starts_with("* 2 in rust: "));
    assert!(who.contains("server"), "{who}");
    // From now on the operator reads what is said in `rust`, and nothing of the lobby.
    let mut screen = Lines::new("the operator's screen", screen);
    let said = format!("{}: here", ann.name);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        bob.say("elsewhere");
        bob.round_trip();
        ann.say("here");
        ann.round_trip();
        while let Some(Some(line)) = screen.next_within(Duration::from_millis(10)) {
            assert!(!line.ends_with(": elsewhere"), "the screen shows the lobby");
            if line == said {
                return;
            }
        }
    }
    panic!("the screen never showed the room");
}

/// A log that nobody reads stops neither the server nor its clients. (53)
pub fn a_full_log_stops_nobody(chat: &Chat) {
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    command.env("RUST_LOG", "info");
    let server = Server::wait(Process::start_unread(&mut command));
    let mut observer = Raw::connect(server.addr).joined("elsewhere");
    // Two lines in the log for each of them, which are more than a pipe holds.
    for _ in 0..20 {
        drop(Raw::crowd(server.addr, 100));
        let wait = observer.round_trip();
        assert!(wait < Duration::from_secs(1), "{wait:?}");
    }
}

/// A log filter that makes no sense is told, and the server serves. (54)
pub fn a_bad_log_filter_is_told(chat: &Chat) {
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    command.env("RUST_LOG", "info,step5_broadcast=loud");
    let mut server = Server::wait(Process::start(&mut command, End::Piped, End::Piped));
    server.peer().sync();
    let complaint = server.process.stderr.next_within(PATIENCE).flatten();
    let complaint = complaint.expect("a complaint");
    assert!(complaint.contains("RUST_LOG"), "{complaint}");
}
