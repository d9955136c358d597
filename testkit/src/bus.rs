use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crate::{PATIENCE, peer};

/// A client that speaks the text protocol of NATS by hand, so that a test can publish anything, and
/// read what the nodes publish.
#[derive(Debug)]
pub struct Bus {
    stream: TcpStream,
    messages: Receiver<Message>,
    replies: Receiver<String>,
    subscriptions: u32,
}

/// A message that somebody has published.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The subject under which it was published.
    pub subject: String,
    /// Its content.
    pub payload: Vec<u8>,
}

impl Bus {
    /// Connects to a NATS server.
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = peer::connect(addr);
        let reading = stream.try_clone().expect("a file descriptor");
        let ((message, messages), (reply, replies)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || read(reading, &message, &reply));
        let mut bus = Self { stream, messages, replies, subscriptions: 0 };
        bus.send(b"CONNECT {\"verbose\":false}\r\n");
        bus.sync();
        bus
    }

    /// Publishes a message, and waits until the server has passed it on.
    pub fn publish(&mut self, subject: &str, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        let mut frame = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
        frame.extend_from_slice(payload);
        frame.extend(b"\r\n");
        self.send(&frame);
        self.sync();
    }

    /// Subscribes to a subject, which may have wildcards.
    pub fn subscribe(&mut self, subject: &str) {
        self.subscriptions += 1;
        self.send(format!("SUB {subject} {}\r\n", self.subscriptions).as_bytes());
        self.sync();
    }

    /// The next message, or `None` if it does not arrive in time.
    pub fn next_within(&self, limit: Duration) -> Option<Message> {
        self.messages.recv_timeout(limit).ok()
    }

    /// Waits for a message that `wanted` accepts. Returns the messages before it, and the message.
    pub fn until(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> (Vec<Message>, Message) {
        let mut before = Vec::new();
        loop {
            match self.next_within(PATIENCE) {
                Some(message) if wanted(&message) => return (before, message),
                Some(message) => before.push(message),
                None => panic!("expected {what}; before it came {before:#?}"),
            }
        }
    }

    /// Waits until the server has handled everything sent so far.
    pub fn sync(&mut self) {
        self.send(b"PING\r\n");
        let reply = self.replies.recv_timeout(PATIENCE).expect("a NATS server that answers");
        assert_eq!(reply, "PONG");
    }

    fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).expect("a NATS server that reads");
    }
}

/// Reads until EOF, and answers the server's pings. Replies are `PONG` and errors.
fn read(mut stream: TcpStream, messages: &Sender<Message>, replies: &Sender<String>) {
    let Ok(input) = stream.try_clone() else { return };
    let mut input = BufReader::new(input);
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|n| n > 0) {
        let words: Vec<_> = line.split_whitespace().collect();
        let sent = match words.as_slice() {
            ["MSG", subject, .., length] => {
                let mut payload = vec![0; length.parse::<usize>().expect("a length") + 2];
                if input.read_exact(&mut payload).is_err() {
                    return;
                }
                payload.truncate(payload.len() - 2);
                messages.send(Message { subject: (*subject).into(), payload }).is_ok()
            }
            ["PING"] => stream.write_all(b"PONG\r\n").is_ok(),
            ["INFO", ..] => true,
            _ => replies.send(line.trim_end().into()).is_ok(),
        };
        if !sent {
            return;
        }
        line.clear();
    }
}
