//! A session never ends after its client has closed the connection; sockets stay in CLOSE-WAIT.
//!
//! The session awaits `Ok(Some(line)) = lines.next_line()` in a `select!`. At EOF the result is
//! `Ok(None)`, which does not match. So `select!` disables the branch and waits for the others. That
//! is right only if another branch ends the loop, as in step 4's hub when the keyboard is closed.
//!
//! Avoided in: `step4-tokio/src/session.rs`, `read`

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

type Outbox = Receiver<&'static str>;

/// Ignores EOF: the pattern does not match it.
async fn ignores_eof(stream: TcpStream, mut outbox: Outbox) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        select! {
            Ok(Some(line)) = lines.next_line() => println!("received {line}"),
            Some(line) = outbox.recv() => println!("to send: {line}"),
        }
    }
}

/// Matches every result of `next_line`.
async fn ends_at_eof(stream: TcpStream, mut outbox: Outbox) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        select! {
            line = lines.next_line() => match line? {
                Some(line) => println!("received {line}"),
                None => return Ok(()),
            },
            Some(line) = outbox.recv() => println!("to send: {line}"),
        }
    }
}

/// Closes the client's side. Returns what the client then reads within `limit`: `Ok(0)` is EOF.
#[tokio::main(flavor = "current_thread")]
async fn close<S>(session: fn(TcpStream, Outbox) -> S, limit: Duration) -> Result<usize, Elapsed>
where
    S: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let mut client = TcpStream::connect(addr).await.expect("a listener");
    let (stream, _) = listener.accept().await.expect("a client");
    let (_hub, outbox) = channel(1);
    tokio::spawn(session(stream, outbox));
    client.shutdown().await.expect("an open connection");
    timeout(limit, client.read(&mut [0])).await.map(|n| n.expect("no reset"))
}

fn mistake() -> Result<usize, Elapsed> {
    close(ignores_eof, Duration::from_millis(300))
}

fn fix() -> Result<usize, Elapsed> {
    close(ends_at_eof, Duration::from_secs(20))
}

fn main() {
    println!("mistake: the session still holds the connection 300 ms after EOF ({:?})", mistake());
    println!("fix:     the session has closed the connection: the client reads {:?}", fix());
    println!("why:     a pattern that does not match disables its branch: match EOF, too");
}

#[test]
fn a_session_whose_pattern_ignores_eof_never_ends() {
    assert!(mistake().is_err());
    assert_eq!(fix(), Ok(0));
}
