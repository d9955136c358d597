use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{End, Process, Server};
use crate::{Lines, Peer};

/// The program under test, and the step whose behaviour it promises.
#[derive(Debug)]
pub struct Chat {
    program: OsString,
    step: u8,
}

impl Chat {
    /// The step's own binary, or `CHAT_BIN` if that is set: a path from the root of the workspace.
    pub fn new(step: u8, program: &str) -> Self {
        let program = env::var_os("CHAT_BIN").unwrap_or_else(|| program.into());
        // cargo runs a test in the folder of its package.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self { program: root.join(program).into(), step }
    }

    /// The example `name` of a step, which cargo puts beside the step's own binary.
    ///
    /// # Panics
    ///
    /// If the example is not built.
    pub fn example(step: u8, binary: &str, name: &str) -> Self {
        let folder = Path::new(binary).with_file_name("examples");
        let program = folder.join(name).with_extension(env::consts::EXE_EXTENSION);
        assert!(
            program.exists(),
            "{name} is not built: cargo build --workspace --examples (plain `cargo test` does it, \
             `cargo test --test roads` does not)"
        );
        Self { program: program.into(), step }
    }

    /// The step whose behaviour the program promises.
    pub fn step(&self) -> u8 {
        self.step
    }

    /// The program with arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        command
    }

    /// The program in a shell that first runs `before`, such as `ulimit -n 64`.
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

    /// A server without a rate limit.
    pub fn server(&self) -> Server {
        match self.step {
            5 => self.server_with(&["--rate", "0"]),
            _ => self.server_with(&[]),
        }
    }

    /// The program's own client, with pipes for stdin and stdout.
    pub fn client(&self, addr: SocketAddr) -> Process {
        let addr = addr.to_string();
        Process::start(&mut self.command(&["client", &addr]), End::Piped, End::Piped)
    }

    /// The program's own client on a terminal, with more arguments and environment variables.
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

    /// A shell script on a terminal. In the script, `$0` is the program.
    #[cfg(unix)]
    pub fn in_shell(&self, script: &str) -> crate::Terminal {
        let program = self.program.to_str().expect("a path in UTF-8");
        crate::Terminal::start("sh".as_ref(), &["-c", script, program], &[])
    }

    /// The program without arguments (step 1).
    pub fn alone(&self) -> Process {
        Process::start(&mut self.command(&[]), End::Piped, End::Piped)
    }

    /// A new server with a sender and a reader.
    pub fn pair(&self) -> Pair {
        self.pair_on(self.server())
    }

    /// A sender and a reader on a running server.
    pub fn pair_on(&self, server: Server) -> Pair {
        if self.step == 2 {
            let sender = Peer::ungreeted(server.addr);
            return Pair { server, sender, reader: None };
        }
        let mut reader = server.peer();
        let sender = server.peer();
        let joined = format!("* {} joined", sender.name);
        reader.lines.until(&joined, |line| line == joined);
        Pair { server, sender, reader: Some(reader) }
    }
}

/// A sender and a reader, at any step from 2 on. At step 2 the reader is the server's console.
#[derive(Debug)]
pub struct Pair {
    /// The server that both use.
    pub server: Server,
    /// The client that sends.
    pub sender: Peer,
    /// The client that reads, from step 3 on.
    pub reader: Option<Peer>,
}

impl Pair {
    /// The lines that the reader receives.
    pub fn received(&mut self) -> &mut Lines {
        self.server.received_by(&mut self.reader)
    }

    /// The sender's `text` as the reader receives it.
    pub fn received_as(&self, text: &str) -> String {
        match &self.reader {
            Some(_) => format!("{}: {text}", self.sender.name),
            None => format!("peer: {text}"),
        }
    }

    /// Expects that the next line to the reader, after notices, is `text` from the sender.
    pub fn expect_received(&mut self, text: &str) {
        let line = self.received_as(text);
        self.received().expect_after_notices(&line);
    }

    /// Sends a line from the reader.
    pub fn reply(&mut self, text: &str) {
        match &mut self.reader {
            Some(reader) => reader.send_line(text),
            None => self.server.process.type_line(text),
        }
    }

    /// Expects that the next line to the sender, after notices, is `text` from the reader.
    pub fn expect_reply(&mut self, text: &str) {
        let line = match &self.reader {
            Some(reader) => format!("{}: {text}", reader.name),
            None => text.into(),
        };
        self.sender.lines.expect_after_notices(&line);
    }

    /// Expects an error for a refused line, to the sender. At step 2 the server writes it to
    /// stderr.
    pub fn expect_refusal(&mut self) {
        match &self.reader {
            Some(_) => {
                let next = self.sender.lines.until("an error", |line| !line.starts_with("* "));
                assert!(next.1.starts_with("! "), "{next:?} is no error");
            }
            None => {
                let error = self.server.process.stderr.next().expect("an error");
                assert!(error.contains("too long"), "{error}");
            }
        }
    }

    /// Expects that the sender has left: it reads EOF, and the reader receives a leave notice. At
    /// step 2 the server ends, too.
    pub fn expect_left(&mut self) {
        match &mut self.reader {
            Some(reader) => {
                let left = format!("* {} left", self.sender.name);
                reader.lines.until(&left, |line| line == left);
                assert_eq!(self.sender.lines.rest().last().unwrap(), "* goodbye");
            }
            None => {
                assert_eq!(self.sender.lines.rest(), [""; 0]);
                assert_eq!(self.server.process.exit(), 0);
            }
        }
    }
}
