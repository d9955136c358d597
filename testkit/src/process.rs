use std::io::{PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Lines, PATIENCE, Peer};

/// A running program with pipes on all its ends. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// What it shows.
    pub stdout: Lines,
    /// What it says of itself.
    pub stderr: Lines,
    child: Child,
    stdin: Option<ChildStdin>,
    complaints: Arc<Mutex<String>>,
    copier: Option<JoinHandle<()>>,
    /// While it is there, stderr is not read beyond its first line.
    unread: Option<Sender<()>>,
}

/// What a process reads or shows.
#[derive(Debug)]
pub enum End {
    /// A pipe that the test holds.
    Piped,
    /// Nothing: `/dev/null`.
    Null,
    /// A pipe of the caller's.
    Pipe(PipeWriter),
}

impl From<End> for Stdio {
    fn from(end: End) -> Self {
        match end {
            End::Piped => Stdio::piped(),
            End::Null => Stdio::null(),
            End::Pipe(pipe) => pipe.into(),
        }
    }
}

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command, stdin: End, stdout: End) -> Self {
        let mut process = Self::spawn(command, stdin, stdout);
        process.unread = None;
        process
    }

    /// Starts `command`, of whose stderr nobody reads more than the first line: it fills up.
    pub fn start_unread(command: &mut Command) -> Self {
        Self::spawn(command, End::Piped, End::Piped)
    }

    fn spawn(command: &mut Command, stdin: End, stdout: End) -> Self {
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let complaints = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = std::io::pipe().expect("a pipe");
        let source = child.stderr.take().expect("piped");
        let (unread, read_on) = mpsc::channel();
        let copier = thread::spawn({
            let complaints = complaints.clone();
            move || keep(source, copy, &complaints, &read_on)
        });
        let stdout = match child.stdout.take() {
            Some(stdout) => Lines::new("stdout", stdout),
            None => Lines::new("stdout", std::io::empty()),
        };
        Self {
            stdout,
            stderr: Lines::new("stderr", stderr),
            stdin: child.stdin.take(),
            child,
            complaints,
            copier: Some(copier),
            unread: Some(unread),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types bytes as they are.
    pub fn type_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("an open stdin");
        stdin.write_all(bytes.as_ref()).expect("a console that is read");
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n"));
    }

    /// The end of input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// A stdin to write to from another thread.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("an open stdin")
    }

    /// The exit code, if the process ends in time. A signal counts as -1.
    pub fn exit_within(&mut self, limit: Duration) -> i32 {
        match ended_within(&mut self.child, limit) {
            Some(status) => status.code().unwrap_or(-1),
            None => panic!("still running after {limit:?}"),
        }
    }

    /// The exit code.
    pub fn exit(&mut self) -> i32 {
        self.exit_within(PATIENCE)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What it has said of itself so far, as a whole. Complete once it has ended.
    pub fn complaints(&mut self) -> String {
        self.unread = None;
        if !self.is_running()
            && let Some(copier) = self.copier.take()
        {
            copier.join().expect("a copier");
        }
        self.complaints.lock().expect("no panic").clone()
    }

    /// Sends a signal by name, such as `TERM`.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = match name {
            "INT" => Signal::INT,
            "TERM" => Signal::TERM,
            "HUP" => Signal::HUP,
            "STOP" => Signal::STOP,
            "CONT" => Signal::CONT,
            "KILL" => Signal::KILL,
            name => panic!("signal {name}"),
        };
        kill_process(Pid::from_child(&self.child), signal).expect("a child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let complaints = self.complaints();
        if !thread::panicking() {
            assert!(!complaints.contains("panicked"), "a panic:\n{complaints}");
        }
    }
}

/// How a child ended, if it did in time.
pub(crate) fn ended_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        let ended = child.try_wait().expect("a child");
        if ended.is_some() || Instant::now() >= deadline {
            return ended;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Copies, so that stderr can be read line by line and be searched as a whole. After the first line
/// it waits until `read_on` closes.
fn keep(
    mut source: ChildStderr,
    mut copy: impl Write,
    complaints: &Mutex<String>,
    read_on: &Receiver<()>,
) {
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = source.read(&mut buf) {
        let mut complaints = complaints.lock().expect("no panic");
        complaints.push_str(&String::from_utf8_lossy(&buf[..n]));
        drop(complaints);
        // Fails if the test is over: what counts has been kept.
        let _ = copy.write_all(&buf[..n]);
        if buf[..n].contains(&b'\n') {
            // Fails when it closes: nothing is ever sent.
            let _ = read_on.recv();
        }
    }
}

/// A server, on a port of its own.
#[derive(Debug)]
pub struct Server {
    /// The program; its stdin and stdout are the operator's.
    pub process: Process,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// Waits until it listens.
    pub fn wait(mut process: Process) -> Self {
        let status = process.stderr.next().expect("a status");
        let addr = status.strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        Self { process, addr: addr.unwrap_or_else(|| panic!("no address: {status}")) }
    }

    /// Who hears what a client says: a participant, or at step 2 the operator.
    pub fn ears<'a>(&'a mut self, listener: &'a mut Option<Peer>) -> &'a mut Lines {
        match listener {
            Some(listener) => &mut listener.lines,
            None => &mut self.process.stdout,
        }
    }

    /// A raw participant who has been greeted.
    pub fn peer(&self) -> Peer {
        Peer::greeted(self.addr)
    }
}
