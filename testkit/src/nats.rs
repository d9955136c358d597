use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, id};
use std::sync::Once;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::process::{End, Process};

/// With this variable, a test fails if `nats-server` is not installed. Without it, it is skipped.
const NEEDED: &str = "CHAT_NEEDS_NATS";

/// The first port that is tried, and how many follow it.
///
/// They are below the ports that the OS gives to clients. So no client takes the port of a server
/// that is killed, and the server can start again on it.
const PORTS: (u16, u16) = (20_000, 10_000);

/// How many servers this process has tried to start.
static STARTED: AtomicU16 = AtomicU16::new(0);

/// A real `nats-server` on a port of its own. It is killed when it is dropped.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    program: &'static str,
    options: Vec<String>,
    port: u16,
}

impl Nats {
    /// The installed program, if there is one. Debian installs it in a folder that is only in
    /// root's `PATH`.
    pub fn installed() -> Option<&'static str> {
        let answers = |program: &&str| Command::new(program).arg("--version").output().is_ok();
        ["nats-server", "/usr/sbin/nats-server"].into_iter().find(answers)
    }

    /// Starts a server. Returns `None` if `nats-server` is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with more options. Returns `None` if `nats-server` is not installed.
    ///
    /// # Panics
    ///
    /// If it is not installed, and the variable `CHAT_NEEDS_NATS` is set.
    pub fn start_with(options: &[&str]) -> Option<Self> {
        let program = program()?;
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        // Another process may use a port, so more than one is tried.
        for _ in 0..100 {
            let n = (id() as u16)
                .wrapping_mul(37)
                .wrapping_add(STARTED.fetch_add(1, Ordering::Relaxed));
            let port = PORTS.0 + n % PORTS.1;
            if let Ok(process) = listen(program, port, &options) {
                return Some(Self { process, program, options, port });
            }
        }
        panic!("no free port for nats-server");
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The URL for `--relay`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.addr())
    }

    /// Stops the process: its connections stay open, but it reads and answers nothing.
    #[cfg(unix)]
    pub fn freeze(&mut self) {
        self.process.signal("STOP");
    }

    /// Continues after [`freeze`](Self::freeze).
    #[cfg(unix)]
    pub fn thaw(&mut self) {
        self.process.signal("CONT");
    }

    /// Kills the process, which closes its connections.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills the process if it is running, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let started = listen(self.program, self.port, &self.options);
        self.process = started.unwrap_or_else(|log| panic!("nats-server ended:\n{log}"));
    }
}

/// The installed program, or `None` and a word that tests are skipped.
fn program() -> Option<&'static str> {
    let found = Nats::installed();
    if found.is_none() {
        static SAY: Once = Once::new();
        assert!(std::env::var_os(NEEDED).is_none(), "{NEEDED} is set: install nats-server");
        // Unlike `eprintln`, this is shown although the test passes.
        SAY.call_once(|| _ = writeln!(io::stderr(), "skipped: nats-server is not installed"));
    }
    found
}

/// Starts the program and waits until it accepts connections. The error is its log.
fn listen(program: &str, port: u16, options: &[String]) -> Result<Process, String> {
    let mut command = Command::new(program);
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).args(options);
    let mut process = Process::start(&mut command, End::Null, End::Null);
    let ready = process.stderr.any(|line| line.ends_with("Server is ready"));
    if ready { Ok(process) } else { Err(process.stderr_text()) }
}
