//! A server that a shell moved to the background of its terminal (row 58).
//!
//! There, reading the keyboard stops every thread of a process (SIGTTIN), and with them the chat.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Chat, Peer, Terminal};

/// A server that says its process id and then becomes the program, so that it can be killed.
const SERVER: &str = r#"sh -c 'echo "pid $$"; exec "$0" server 127.0.0.1:0' "$0""#;

/// What the shell does once the server is in the background.
const WAIT: &str = r#"echo "in the background"; wait %1; echo "ended with $?""#;

/// The server in the background. It is killed when this is dropped: the shell's end does not end it.
struct Background {
    terminal: Terminal,
    /// `None` once it has ended: then the id may be another process's.
    pid: Option<Pid>,
}

impl Background {
    /// Runs `script` in a shell with job control, and waits until it has started the server.
    fn start(chat: &Chat, script: &str) -> Self {
        let terminal = chat.in_shell(&format!("set -m\n{script}"));
        let pid = terminal.value("pid ");
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        assert!(pid.is_some(), "no process id");
        Self { terminal, pid }
    }

    /// Two clients talk for as long as a stop by the keyboard may take to come, and then the server
    /// ends in order.
    fn serves(mut self) {
        let addr = self.terminal.value("listening on ");
        let addr = addr.parse().expect("an address");
        let (mut ann, mut bob) = (Peer::greeted(addr), Peer::greeted(addr));
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(500) {
            bob.say("hello");
            ann.lines.hear(&format!("{}: hello", bob.name));
        }
        let pid = self.pid.expect("a server that runs");
        kill_process(pid, Signal::TERM).expect("a server");
        for peer in [&mut ann, &mut bob] {
            assert_eq!(peer.lines.rest().last().unwrap(), "* goodbye");
        }
        self.terminal.see("ended with 0");
        self.pid = None;
        assert!(self.terminal.exit().success());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // Fails if the server has ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A server that is started in the background of a terminal serves without a keyboard. (58)
pub fn a_background_server_serves_without_a_keyboard(chat: &Chat) {
    let script = format!("{SERVER} &\n{WAIT}");
    Background::start(chat, &script).serves();
}

/// A server that is stopped at its terminal and continued in the background serves on, although its
/// thread was reading the keyboard. (58)
pub fn a_server_continues_in_the_background(chat: &Chat) {
    let script = format!("{SERVER}\nbg\n{WAIT}");
    let mut server = Background::start(chat, &script);
    server.terminal.value("listening on ");
    // Ctrl-Z. The shell goes on when the server has stopped.
    server.terminal.press("\u{1a}");
    server.terminal.see("in the background");
    server.serves();
}
