//! The error that a client reports when its connection ends without a goodbye (row 48).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::{Chat, PATIENCE, peer};

/// Sends `lines` to a client and ends the connection with `end`. Returns the one line that the
/// client writes to stderr.
fn cause(chat: &Chat, lines: &str, end: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = chat.client(listener.local_addr().expect("open"));
    let (mut stream, _) = listener.accept().expect("a client");
    stream.write_all(lines.as_bytes()).expect("open");
    let last = lines.lines().last().expect("lines");
    client.stdout.until(last, |line| line == last);
    end(stream);
    assert_eq!(client.exit(), 1);
    let stderr = client.stderr_text();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

/// A client reports a broken connection as such, although an error reply came earlier. (48)
pub fn a_client_reports_the_broken_connection(chat: &Chat) {
    let reply = "* you are client-1\n! unknown command: /nope\n";
    let chat_after_it = format!("{reply}client-2: hello\n");
    let endings: [fn(TcpStream); 2] = [drop, |stream| peer::reset(&stream)];
    for lines in [reply, &chat_after_it] {
        for end in endings {
            let cause = cause(chat, lines, end).to_lowercase();
            assert!(!cause.contains("unknown command"), "{cause}");
            let broken = ["end of file", "reset", "closed", "broken pipe"];
            assert!(broken.iter().any(|word| cause.contains(word)), "{cause}");
        }
    }
}

/// A client reports the refusal that ended its connection. (48)
pub fn a_client_reports_the_refusal(chat: &Chat) {
    let cause = cause(chat, "! server is full\n", |mut stream| {
        stream.shutdown(Shutdown::Write).expect("open");
        // Waits for the client's EOF: closing earlier could send a reset.
        stream.set_read_timeout(Some(PATIENCE)).expect("open");
        assert_eq!(stream.read(&mut [0]).expect("EOF"), 0);
    });
    assert!(cause.contains("server is full"), "{cause}");
}
