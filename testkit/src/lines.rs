use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// What comes out of a socket or a pipe, read by a thread of its own and taken line by line.
///
/// Every line is UTF-8 and holds no control character but TAB, or whoever takes it fails.
#[derive(Debug)]
pub struct Lines {
    source: String,
    arriving: Receiver<Result<String, std::io::Error>>,
    /// The latest, for messages of failure.
    seen: VecDeque<String>,
    reset: bool,
}

impl Lines {
    /// Reads `input` to its end. `source` names it in messages of failure.
    pub fn new(source: impl Into<String>, mut input: impl Read + Send + 'static) -> Self {
        let (lines, arriving) = mpsc::channel();
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
                                let text = text.expect("everything that is sent is UTF-8");
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
        Self { source: source.into(), arriving, seen: VecDeque::new(), reset: false }
    }

    /// The next line (`Some(None)` at the end), if it comes in time.
    pub fn next_within(&mut self, limit: Duration) -> Option<Option<String>> {
        match self.arriving.recv_timeout(limit) {
            Ok(Ok(line)) => {
                let control =
                    |c: char| c.is_control() && c != '\t' || matches!(c, '\u{2028}'..='\u{202e}');
                assert!(!line.contains(control), "{}: raw control in {line:?}", self.source);
                if self.seen.len() == 20 {
                    self.seen.pop_front();
                }
                self.seen.push_back(line.clone());
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

    /// The next line is `line`.
    pub fn expect(&mut self, line: &str) {
        match self.next() {
            Some(next) if next == line => {}
            next => self.fail(format_args!("{line:?}, not {next:?}")),
        }
    }

    /// The next line that is not a notice is `line`.
    pub fn hear(&mut self, line: &str) {
        loop {
            match self.next() {
                Some(next) if next == line => return,
                Some(next) if next.starts_with("* ") => {}
                next => self.fail(format_args!("{line:?}, not {next:?}")),
            }
        }
    }

    /// The next line that is not a notice is `text`, said by whomever.
    pub fn hear_said(&mut self, text: &str) {
        let heard = self.until("something said", |line| !line.starts_with("* "));
        let said = heard.1.ends_with(&format!(": {text}"));
        assert!(said, "{heard:?} instead of {text:?}");
    }

    /// The lines before the first that `wanted` accepts, and that one.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> (Vec<String>, String) {
        let mut before = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.next() {
                Some(line) if wanted(&line) => return (before, line),
                Some(line) => before.push(line),
                None => self.fail(format_args!("{what}, not the end")),
            }
        }
        self.fail(what)
    }

    /// All lines up to the end.
    pub fn rest(&mut self) -> Vec<String> {
        self.collect()
    }

    /// Whether the end came as a reset.
    pub fn was_reset(&self) -> bool {
        self.reset
    }

    fn fail(&self, wanted: impl std::fmt::Display) -> ! {
        panic!("{}: expected {wanted}; latest lines: {:#?}", self.source, self.seen)
    }
}

/// The next line, or `None` at the end, also if it came as a reset.
impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self.next_within(PATIENCE) {
            Some(next) => next,
            None => self.fail("a line or the end"),
        }
    }
}
