use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use vt100::Parser;

use crate::PATIENCE;
use crate::process::ended_within;

const ROWS: u16 = 24;

/// A program on a pseudo-terminal of 24 rows and 80 columns. It is killed when it is dropped.
pub struct Terminal {
    pty: Arc<Pty>,
    /// Keeps the terminal's settings until the program has ended.
    pts: Option<Pts>,
    before: Termios,
    settings: Option<String>,
    reader: Option<JoinHandle<()>>,
    child: Child,
    output: Arc<(Mutex<Output>, Condvar)>,
}

/// The bytes that the program has written, and the screen that they produce.
struct Output {
    raw: Vec<u8>,
    screen: Parser,
}

impl Terminal {
    /// Starts a program with environment variables.
    pub fn start(program: &OsStr, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(Size::new(ROWS, 80)).expect("a size");
        let before = tcgetattr(&pty).expect("a terminal");
        let child = Command::new(program)
            .args(args)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .spawn_borrowed(&pts)
            .expect("a program");
        let pty = Arc::new(pty);
        let output = Output { raw: Vec::new(), screen: Parser::new(ROWS, 80, 100_000) };
        let output = Arc::new((Mutex::new(output), Condvar::new()));
        let reader = thread::spawn({
            let (pty, output) = (pty.clone(), output.clone());
            move || read_output(&pty, &output)
        });
        Self { pty, pts: Some(pts), before, settings: None, reader: Some(reader), child, output }
    }

    /// Presses keys, or pastes text.
    pub fn press(&mut self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    /// Sends bytes as they are.
    pub fn press_bytes(&mut self, bytes: &[u8]) {
        (&*self.pty).write_all(bytes).expect("a terminal");
    }

    /// Makes the window larger or smaller.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.lock().screen.screen_mut().set_size(rows, columns);
        self.pty.resize(Size::new(rows, columns)).expect("a size");
    }

    /// Stops the program and continues it. Meanwhile the terminal gets its old settings back, as a
    /// shell would set them.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
        tcsetattr(&*self.pty, OptionalActions::Now, &self.before).expect("a terminal");
        self.signal(Signal::CONT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child");
    }

    /// The terminal's settings, now or when the program ended.
    pub fn settings(&self) -> String {
        if let Some(settings) = &self.settings {
            return settings.clone();
        }
        format!("{:?}", tcgetattr(&*self.pty).expect("a terminal"))
    }

    /// All bytes that the program has written, colours included.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.lock().raw).into_owned()
    }

    /// The lines on the screen and in the scrollback.
    pub fn shown(&self) -> Vec<String> {
        lines(&mut self.lock().screen)
    }

    /// Waits until `wanted` accepts a line that is shown. Returns all lines shown.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.wait(what, |output| {
            let lines = lines(&mut output.screen);
            lines.iter().any(|line| wanted(line)).then_some(lines)
        })
    }

    /// Waits for a whole line that begins with `prefix`. Returns the rest of it.
    pub fn value(&self, prefix: &str) -> String {
        self.wait(prefix, |output| {
            let raw = String::from_utf8_lossy(&output.raw);
            let mut whole = raw.split_inclusive('\n').filter_map(|line| line.strip_suffix("\r\n"));
            whole.find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
        })
    }

    /// Waits until `find` finds something in the output.
    fn wait<T>(&self, what: &str, find: impl Fn(&mut Output) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut output = self.lock();
        loop {
            if let Some(found) = find(&mut output) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines = lines(&mut output.screen);
                drop(output);
                panic!("no {what} in {lines:#?}");
            }
            output = self.output.1.wait_timeout(output, left).expect("no panic").0;
        }
    }

    /// Waits until a line is shown.
    pub fn wait_for(&self, line: &str) {
        self.until(line, |shown| shown == line);
    }

    /// Waits for the program to end, at most for `limit`, and for all of its output.
    pub fn exit_within(&mut self, limit: Duration) -> ExitStatus {
        let Some(status) = ended_within(&mut self.child, limit) else {
            panic!("still running: {:#?}", self.shown());
        };
        self.settings = Some(self.settings());
        self.pts = None;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        status
    }

    /// Waits for the program to end.
    pub fn exit(&mut self) -> ExitStatus {
        self.exit_within(PATIENCE)
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.0.lock().expect("no panic")
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("child", &self.child).finish_non_exhaustive()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if the program has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let shown = self.shown().join("\n");
            assert!(!shown.contains("panicked"), "a panic:\n{shown}");
        }
    }
}

fn read_output(mut pty: &Pty, shared: &(Mutex<Output>, Condvar)) {
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = pty.read(&mut buf) {
        let mut output = shared.0.lock().expect("no panic");
        output.raw.extend_from_slice(&buf[..n]);
        output.screen.process(&buf[..n]);
        drop(output);
        shared.1.notify_all();
    }
}

/// All lines of the screen and the scrollback: wrapped rows are joined, trailing spaces removed.
fn lines(parser: &mut Parser) -> Vec<String> {
    let screen = parser.screen_mut();
    screen.set_scrollback(usize::MAX);
    let above = screen.scrollback();
    let (height, width) = screen.size();
    let mut lines: Vec<String> = Vec::new();
    let (mut next, mut wrapped) = (0, false);
    let mut back = above;
    loop {
        screen.set_scrollback(back);
        let page = screen.rows(0, width).enumerate().skip(next - (above - back));
        for (n, row) in page {
            match lines.last_mut() {
                Some(line) if wrapped => line.push_str(&row),
                _ => lines.push(row),
            }
            wrapped = screen.row_wrapped(n as u16);
            next += 1;
        }
        if back == 0 {
            break;
        }
        back = back.saturating_sub(height.into());
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines.retain(|line| !line.is_empty());
    lines
}
