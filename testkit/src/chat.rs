use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use crate::process::{End, Process, Server};
use crate::{Lines, Peer};

/// The program that is tried, and which step it is to behave like.
#[derive(Debug)]
pub struct Chat {
    program: OsString,
    step: u8,
}

impl Chat {
    /// The step's own binary, or `CHAT_BIN` if that is set.
    pub fn new(step: u8, program: &str) -> Self {
        let program = env::var_os("CHAT_BIN").unwrap_or_else(|| program.into());
        Self { program, step }
    }

    /// Which step it is to behave like.
    pub fn step(&self) -> u8 {
        self.step
    }

    /// The program with arguments, for whoever starts it in a way of his own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        command
    }

    /// The program in a shell that runs `before` first, such as `ulimit -n 64`.
    #[cfg(unix)]
    pub fn command_after(&self, before: &str, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\""));
        command.arg(&self.program).args(args);
        command
    }

    /// A server with `args` after its address.
    pub fn server_with(&self, args: &[&str]) -> Server {
        let args = [&["server", "127.0.0.1:0"], args].concat();
        Server::wait(Process::start(&mut self.command(&args), End::Piped, End::Piped))
    }

    /// A server that does not hold floods back.
    pub fn server(&self) -> Server {
        match self.step {
            5 => self.server_with(&["--rate", "0"]),
            _ => self.server_with(&[]),
        }
    }

    /// Our own client, on pipes.
    pub fn client(&self, addr: SocketAddr) -> Process {
        let addr = addr.to_string();
        Process::start(&mut self.command(&["client", &addr]), End::Piped, End::Piped)
    }

    /// Our own client, on a terminal, with more arguments and variables in its environment.
    #[cfg(unix)]
    pub fn terminal(
        &self,
        addr: SocketAddr,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> crate::Terminal {
        let addr = addr.to_string();
        let args = [&["client", &addr], args].concat();
        crate::Terminal::start(&self.program, &args, variables)
    }

    /// A script in a shell on a terminal, where `$0` is the program.
    #[cfg(unix)]
    pub fn in_shell(&self, script: &str) -> crate::Terminal {
        let program = self.program.to_str().expect("a path in UTF-8");
        crate::Terminal::start("sh".as_ref(), &["-c", script, program], &[])
    }

    /// The program without arguments (step 1).
    pub fn alone(&self) -> Process {
        Process::start(&mut self.command(&[]), End::Piped, End::Piped)
    }

    /// A server, a raw peer that speaks, and somebody who listens.
    pub fn pair(&self) -> Pair {
        self.pair_on(self.server())
    }

    /// The same, on a server that is there already.
    pub fn pair_on(&self, server: Server) -> Pair {
        if self.step == 2 {
            let speaker = Peer::ungreeted(server.addr);
            return Pair { server, speaker, listener: None };
        }
        let mut listener = server.peer();
        let speaker = server.peer();
        let joined = format!("* {} joined", speaker.name);
        listener.lines.until(&joined, |line| line == joined);
        Pair { server, speaker, listener: Some(listener) }
    }
}

/// Two who chat, whatever the step. At step 2 the listener is the server's console.
#[derive(Debug)]
pub struct Pair {
    /// Between them, or at step 2 one of them.
    pub server: Server,
    /// A raw peer.
    pub speaker: Peer,
    /// Another, from step 3 on.
    pub listener: Option<Peer>,
}

impl Pair {
    /// What the listener reads.
    pub fn ears(&mut self) -> &mut Lines {
        self.server.ears(&mut self.listener)
    }

    /// How the listener reads a line of the speaker's.
    pub fn heard_as(&self, text: &str) -> String {
        match &self.listener {
            Some(_) => format!("{}: {text}", self.speaker.name),
            None => format!("peer: {text}"),
        }
    }

    /// The next thing said that the listener reads is `text`, by the speaker.
    pub fn hears(&mut self, text: &str) {
        let line = self.heard_as(text);
        self.ears().hear(&line);
    }

    /// The listener says something.
    pub fn reply(&mut self, text: &str) {
        match &mut self.listener {
            Some(listener) => listener.say(text),
            None => self.server.process.type_line(text),
        }
    }

    /// The next thing said that the speaker reads is `text`, by the listener.
    pub fn is_replied(&mut self, text: &str) {
        let line = match &self.listener {
            Some(listener) => format!("{}: {text}", listener.name),
            None => text.into(),
        };
        self.speaker.lines.hear(&line);
    }

    /// The speaker is told that a line was not accepted; at step 2, the listener is.
    pub fn is_refused(&mut self) {
        match &self.listener {
            Some(_) => {
                let next = self.speaker.lines.until("an error", |line| !line.starts_with("* "));
                assert!(next.1.starts_with("! "), "{next:?} is no error");
            }
            None => {
                let complaint = self.server.process.stderr.next().expect("a complaint");
                assert!(complaint.contains("too long"), "{complaint}");
            }
        }
    }

    /// The speaker is gone: it reads the end, and the listener is told, or ends as well.
    pub fn has_left(&mut self) {
        match &mut self.listener {
            Some(listener) => {
                let left = format!("* {} left", self.speaker.name);
                listener.lines.until(&left, |line| line == left);
                assert_eq!(self.speaker.lines.rest().last().unwrap(), "* goodbye");
            }
            None => {
                assert_eq!(self.speaker.lines.rest(), [""; 0]);
                assert_eq!(self.server.process.exit(), 0);
            }
        }
    }
}
