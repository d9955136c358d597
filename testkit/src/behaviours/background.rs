//! A server in the background of a terminal (row 58).
//!
//! A background process that reads the keyboard is stopped by SIGTTIN, with all its threads.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Chat, Peer, Terminal};

/// A shell command that prints its process id and then becomes the server.
const SERVER: &str = r#"sh -c 'echo "pid $$"; exec "$0" server 127.0.0.1:0' "$0""#;

/// The shell commands that wait for the server in the background.
const WAIT: &str = r#"echo "in the background"; wait %1; echo "ended with $?""#;

/// A server in the background. It is killed on drop, because it outlives the shell.
struct Background {
    terminal: Terminal,
    /// `None` once the server has ended, because the OS may reuse the id.
    pid: Option<Pid>,
}

impl Background {
    /// Runs `script` in a shell with job control, and waits until the server has started.
    fn start(chat: &Chat, script: &str) -> Self {
        let terminal = chat.in_shell(&format!("set -m\n{script}"));
        let pid = terminal.value("pid ");
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        assert!(pid.is_some(), "no process id");
        Self { terminal, pid }
    }

    /// Expects that two clients can chat, and that the server then ends in order.
    ///
    /// They chat for half a second, because SIGTTIN may take a moment to arrive.
    fn expect_service(mut self) {
        let addr = self.terminal.value("listening on ");
        let addr = addr.parse().expect("an address");
        let (mut ann, mut bob) = (Peer::greeted(addr), Peer::greeted(addr));
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(500) {
            bob.send_line("hello");
            ann.lines.expect_after_notices(&format!("{}: hello", bob.name));
        }
        let pid = self.pid.expect("a running server");
        kill_process(pid, Signal::TERM).expect("a running server");
        for peer in [&mut ann, &mut bob] {
            assert_eq!(peer.lines.rest().last().unwrap(), "* goodbye");
        }
        self.terminal.wait_for("ended with 0");
        self.pid = None;
        assert!(self.terminal.exit().success());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            // Fails if the server has ended.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A server that is started in the background serves without a keyboard. (58)
pub fn a_background_server_serves_without_a_keyboard(chat: &Chat) {
    let script = format!("{SERVER} &\n{WAIT}");
    Background::start(chat, &script).expect_service();
}

/// A server that is stopped with Ctrl-Z continues in the background, although a thread of it was
/// reading the keyboard. (58)
pub fn a_server_continues_in_the_background(chat: &Chat) {
    let script = format!("{SERVER}\nbg\n{WAIT}");
    let mut server = Background::start(chat, &script);
    server.terminal.value("listening on ");
    // Ctrl-Z. When the server has stopped, the shell runs the next command.
    server.terminal.press("\u{1a}");
    server.terminal.wait_for("in the background");
    server.expect_service();
}
