use std::io::{PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Lines, PATIENCE, Peer};

/// A running program with pipes for stdin, stdout and stderr. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// The lines of stdout.
    pub stdout: Lines,
    /// The lines of stderr.
    pub stderr: Lines,
    child: Child,
    stdin: Option<ChildStdin>,
    stderr_text: Arc<Mutex<String>>,
    copier: Option<JoinHandle<()>>,
    /// Holds stderr back after its first line, until it is dropped.
    unread: Option<Sender<()>>,
}

/// The other end of a process's stdin or stdout.
#[derive(Debug)]
pub enum End {
    /// A new pipe, which [`Process`] holds.
    Piped,
    /// `/dev/null`.
    Null,
    /// A pipe that the caller has made.
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

    /// Starts `command`, and reads only the first line of its stderr, so that the pipe can fill up.
    pub fn start_with_unread_stderr(command: &mut Command) -> Self {
        Self::spawn(command, End::Piped, End::Piped)
    }

    fn spawn(command: &mut Command, stdin: End, stdout: End) -> Self {
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr_text = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = std::io::pipe().expect("a pipe");
        let source = child.stderr.take().expect("piped");
        let (unread, read_on) = mpsc::channel();
        let copier = thread::spawn({
            let text = stderr_text.clone();
            move || copy_stderr(source, copy, &text, &read_on)
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
            stderr_text,
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
        stdin.write_all(bytes.as_ref()).expect("a process that reads stdin");
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n"));
    }

    /// Closes stdin, so that the process reads EOF.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the process to end, at most for `limit`. Returns the exit code, or -1 for a
    /// signal.
    pub fn exit_within(&mut self, limit: Duration) -> i32 {
        match ended_within(&mut self.child, limit) {
            Some(status) => status.code().unwrap_or(-1),
            None => panic!("still running after {limit:?}"),
        }
    }

    /// Waits for the process to end. Returns the exit code, or -1 for a signal.
    pub fn exit(&mut self) -> i32 {
        self.exit_within(PATIENCE)
    }

    /// Whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Kills the process, and waits until it has ended.
    pub fn kill(&mut self) {
        // Fails if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until a server listens. Returns the address from its next status line.
    pub fn listening(&mut self) -> SocketAddr {
        let status = self.stderr.next().expect("a status line");
        let addr = status.strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        addr.unwrap_or_else(|| panic!("no address: {status}"))
    }

    /// All of stderr so far. It is complete once the process has ended.
    pub fn stderr_text(&mut self) -> String {
        self.unread = None;
        if !self.is_running()
            && let Some(copier) = self.copier.take()
        {
            copier.join().expect("a copier");
        }
        self.stderr_text.lock().expect("no panic").clone()
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
        self.kill();
        let stderr = self.stderr_text();
        if !thread::panicking() {
            assert!(!stderr.contains("panicked"), "a panic:\n{stderr}");
        }
    }
}

/// The exit status of a child, or `None` if it has not ended after `limit`.
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

/// Copies stderr, so that a test can read it line by line and also search all of it.
///
/// After the first line it waits until `read_on` is closed.
fn copy_stderr(
    mut source: ChildStderr,
    mut copy: impl Write,
    text: &Mutex<String>,
    read_on: &Receiver<()>,
) {
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = source.read(&mut buf) {
        text.lock().expect("no panic").push_str(&String::from_utf8_lossy(&buf[..n]));
        // Fails if the test is over. By then the text has been stored.
        let _ = copy.write_all(&buf[..n]);
        if buf[..n].contains(&b'\n') {
            // Always fails, when the channel closes: no value is ever sent.
            let _ = read_on.recv();
        }
    }
}

/// A running server, on a port of its own.
#[derive(Debug)]
pub struct Server {
    /// The process. Its stdin and stdout are the operator's.
    pub process: Process,
    /// The address that it listens on.
    pub addr: SocketAddr,
}

impl Server {
    /// Waits until the server listens.
    pub fn wait(mut process: Process) -> Self {
        let addr = process.listening();
        Self { process, addr }
    }

    /// The lines that `reader` receives, or, without a reader (step 2), the operator.
    pub fn received_by<'a>(&'a mut self, reader: &'a mut Option<Peer>) -> &'a mut Lines {
        match reader {
            Some(reader) => &mut reader.lines,
            None => &mut self.process.stdout,
        }
    }

    /// A new client that has been greeted.
    pub fn peer(&self) -> Peer {
        Peer::greeted(self.addr)
    }
}
