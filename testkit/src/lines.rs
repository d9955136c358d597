use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// The lines that arrive on a socket or a pipe, read by a thread of its own.
///
/// A test fails if it takes a line that is not UTF-8, or holds a control character other than TAB.
#[derive(Debug)]
pub struct Lines {
    source: String,
    incoming: Receiver<Result<String, std::io::Error>>,
    /// The latest lines, for failure messages.
    latest: VecDeque<String>,
    reset: bool,
}

impl Lines {
    /// Reads `input` until EOF. `source` names it in failure messages.
    pub fn new(source: impl Into<String>, mut input: impl Read + Send + 'static) -> Self {
        let (lines, incoming) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            let mut buf = vec![0; 64 * 1024];
            loop {
                match input.read(&mut buf) {
                    Ok(0) => break,
                    Ok(n) => {
                        for piece in buf[..n].split_inclusive(|&byte| byte == b'\n') {
                            line.extend_from_slice(piece);
                            if line.pop_if(|last| *last == b'\n').is_some() {
                                let text = String::from_utf8(std::mem::take(&mut line));
                                let text = text.expect("a line in UTF-8");
                                if lines.send(Ok(text)).is_err() {
                                    return;
                                }
                            }
                        }
                    }
                    Err(error) => {
                        let _ = lines.send(Err(error));
                        return;
                    }
                }
            }
            if !line.is_empty() {
                let _ = lines.send(Ok(String::from_utf8_lossy(&line).into_owned()));
            }
        });
        Self { source: source.into(), incoming, latest: VecDeque::new(), reset: false }
    }

    /// The next line (`Some(None)` at EOF), or `None` if it does not arrive in time.
    pub fn next_within(&mut self, limit: Duration) -> Option<Option<String>> {
        match self.incoming.recv_timeout(limit) {
            Ok(Ok(line)) => {
                let control =
                    |c: char| c.is_control() && c != '\t' || matches!(c, '\u{2028}'..='\u{202e}');
                assert!(!line.contains(control), "{}: raw control in {line:?}", self.source);
                if self.latest.len() == 20 {
                    self.latest.pop_front();
                }
                self.latest.push_back(line.clone());
                Some(Some(line))
            }
            Ok(Err(_)) => {
                self.reset = true;
                Some(None)
            }
            Err(RecvTimeoutError::Disconnected) => Some(None),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Expects that the next line is `line`.
    pub fn expect(&mut self, line: &str) {
        match self.next() {
            Some(next) if next == line => {}
            next => self.fail(format_args!("{line:?}, not {next:?}")),
        }
    }

    /// Skips notices, and expects that the next line is `line`. It may be a notice itself.
    pub fn expect_after_notices(&mut self, line: &str) {
        loop {
            match self.next() {
                Some(next) if next == line => return,
                Some(next) if next.starts_with("* ") => {}
                next => self.fail(format_args!("{line:?}, not {next:?}")),
            }
        }
    }

    /// Skips notices, and expects that the next line is `text`, from any sender.
    pub fn expect_text(&mut self, text: &str) {
        let (_, line) = self.until("a client's text", |line| !line.starts_with("* "));
        assert!(line.ends_with(&format!(": {text}")), "{line:?} instead of {text:?}");
    }

    /// Waits for a line that `wanted` accepts. Returns the lines before it, and the line.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> (Vec<String>, String) {
        let mut before = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.next() {
                Some(line) if wanted(&line) => return (before, line),
                Some(line) => before.push(line),
                None => self.fail(format_args!("{what}, not EOF")),
            }
        }
        self.fail(what)
    }

    /// All lines up to EOF.
    pub fn rest(&mut self) -> Vec<String> {
        self.collect()
    }

    /// Whether the connection ended with a reset.
    pub fn was_reset(&self) -> bool {
        self.reset
    }

    fn fail(&self, wanted: impl std::fmt::Display) -> ! {
        panic!("{}: expected {wanted}; latest lines: {:#?}", self.source, self.latest)
    }
}

/// Yields each line, and `None` at EOF or after a reset.
impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self.next_within(PATIENCE) {
            Some(next) => next,
            None => self.fail("a line or EOF"),
        }
    }
}
