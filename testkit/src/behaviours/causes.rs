//! The cause that a client reports when its connection ends without a goodbye (row 48).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::{Chat, PATIENCE, peer};

/// A server sends `lines`, the client shows them, and `end` ends the connection. Gives the one line
/// that the client writes to stderr.
fn cause(chat: &Chat, lines: &str, end: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = chat.client(listener.local_addr().expect("open"));
    let (mut stream, _) = listener.accept().expect("a client");
    stream.write_all(lines.as_bytes()).expect("open");
    let last = lines.lines().last().expect("lines");
    client.stdout.until(last, |line| line == last);
    end(stream);
    assert_eq!(client.exit(), 1);
    let complaints = client.complaints();
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    complaints
}

/// An error that answered a command is not the cause when the connection breaks later: the client
/// reports the broken connection. (48)
pub fn a_client_reports_the_broken_connection(chat: &Chat) {
    let answer = "* you are client-1\n! unknown command: /nope\n";
    let talk = format!("{answer}client-2: hello\n");
    let endings: [fn(TcpStream); 2] = [drop, |stream| peer::reset(&stream)];
    for lines in [answer, &talk] {
        for end in endings {
            let cause = cause(chat, lines, end).to_lowercase();
            assert!(!cause.contains("unknown command"), "{cause}");
            let broken = ["end of file", "reset", "closed", "broken pipe"];
            assert!(broken.iter().any(|word| cause.contains(word)), "{cause}");
        }
    }
}

/// A refusal is the cause, although the connection ends right behind it. (48)
pub fn a_client_reports_the_refusal(chat: &Chat) {
    let cause = cause(chat, "! server is full\n", |mut stream| {
        stream.shutdown(Shutdown::Write).expect("open");
        // The client's end: closing before it could become a reset, which is another cause.
        stream.set_read_timeout(Some(PATIENCE)).expect("open");
        assert_eq!(stream.read(&mut [0]).expect("an orderly end"), 0);
    });
    assert!(cause.contains("server is full"), "{cause}");
}
