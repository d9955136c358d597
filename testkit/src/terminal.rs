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
    /// Keeps the settings until the program has ended.
    pts: Option<Pts>,
    before: Termios,
    settings: Option<String>,
    keeper: Option<JoinHandle<()>>,
    child: Child,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

/// The bytes that were shown, and what became of them.
struct Shown {
    raw: Vec<u8>,
    screen: Parser,
}

impl Terminal {
    /// Starts a program, with variables in its environment.
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
        let shown = Shown { raw: Vec::new(), screen: Parser::new(ROWS, 80, 100_000) };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        let keeper = thread::spawn({
            let (pty, shown) = (pty.clone(), shown.clone());
            move || keep(&pty, &shown)
        });
        Self { pty, pts: Some(pts), before, settings: None, keeper: Some(keeper), child, shown }
    }

    /// Presses keys, or pastes.
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

    /// Stops the program and lets it go on, as a shell does that has used the terminal meanwhile.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
        tcsetattr(&*self.pty, OptionalActions::Now, &self.before).expect("a terminal");
        self.signal(Signal::CONT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child");
    }

    /// The settings of the terminal, now or when the program ended.
    pub fn settings(&self) -> String {
        if let Some(settings) = &self.settings {
            return settings.clone();
        }
        format!("{:?}", tcgetattr(&*self.pty).expect("a terminal"))
    }

    /// All bytes that were shown, for those who look for colours.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.lock().raw).into_owned()
    }

    /// The lines on the screen, and those that have left it at the top.
    pub fn shown(&self) -> Vec<String> {
        lines(&mut self.lock().screen)
    }

    /// Waits until one of the lines shown is wanted. Gives them all.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.wait(what, |shown| {
            let lines = lines(&mut shown.screen);
            lines.iter().any(|line| wanted(line)).then_some(lines)
        })
    }

    /// Waits for a whole line that begins with `prefix`. Gives the rest of it.
    pub fn value(&self, prefix: &str) -> String {
        self.wait(prefix, |shown| {
            let raw = String::from_utf8_lossy(&shown.raw);
            let mut whole = raw.split_inclusive('\n').filter_map(|line| line.strip_suffix("\r\n"));
            whole.find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
        })
    }

    /// Waits until `look` finds something in what is shown.
    fn wait<T>(&self, what: &str, look: impl Fn(&mut Shown) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.lock();
        loop {
            if let Some(found) = look(&mut shown) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines = lines(&mut shown.screen);
                drop(shown);
                panic!("no {what} in {lines:#?}");
            }
            shown = self.shown.1.wait_timeout(shown, left).expect("no panic").0;
        }
    }

    /// Waits until a line is shown.
    pub fn see(&self, line: &str) {
        self.until(line, |shown| shown == line);
    }

    /// How the program ended, if it did in time. Then all that it has shown can be seen.
    pub fn exit_within(&mut self, limit: Duration) -> ExitStatus {
        let Some(status) = ended_within(&mut self.child, limit) else {
            panic!("still running: {:#?}", self.shown());
        };
        self.settings = Some(self.settings());
        self.pts = None;
        if let Some(keeper) = self.keeper.take() {
            keeper.join().expect("no panic");
        }
        status
    }

    /// How the program ended.
    pub fn exit(&mut self) -> ExitStatus {
        self.exit_within(PATIENCE)
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.0.lock().expect("no panic")
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("child", &self.child).finish_non_exhaustive()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let shown = self.shown().join("\n");
            assert!(!shown.contains("panicked"), "a panic:\n{shown}");
        }
    }
}

fn keep(mut pty: &Pty, shown: &(Mutex<Shown>, Condvar)) {
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = pty.read(&mut buf) {
        let mut all = shown.0.lock().expect("no panic");
        all.raw.extend_from_slice(&buf[..n]);
        all.screen.process(&buf[..n]);
        drop(all);
        shown.1.notify_all();
    }
}

/// All rows, without blanks at their ends, and wrapped ones joined.
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
