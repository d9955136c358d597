//! Two lines arrive as one, and most of the first is missing: a `write_all` timed out.
//!
//! `timeout` drops the `write_all`, and with it the position. What was written stays in the socket:
//! a part of the line, without its end. The next line follows at once.
//!
//! Avoided in: `step4-tokio/src/session.rs`, `write_all_within`

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::{join, time::timeout};

/// Much more than both sockets buffer.
const LENGTH: usize = 256 * 1024;
const LIMIT: Duration = Duration::from_millis(100);

/// Returns both ends of a connection with small buffers.
async fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let client = socket.connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    SockRef::from(&server).set_send_buffer_size(4096)?;
    Ok((server, client))
}

/// Sends the rest, then another line, while the client reads. Returns the lengths of its lines.
async fn send(rest: &[u8], (mut server, mut client): (TcpStream, TcpStream)) -> Vec<usize> {
    let writing = async move {
        server.write_all(rest).await?;
        server.write_all(b"bob: hi\n").await
        // This drops the socket, so the client gets EOF.
    };
    let mut received = String::new();
    let (written, read) = join!(writing, client.read_to_string(&mut received));
    written.and(read).expect("a connection");
    received.lines().map(str::len).collect()
}

/// Gives up the first line, whose length is [`LENGTH`], and goes on with the second.
#[tokio::main(flavor = "current_thread")]
async fn mistake() -> Vec<usize> {
    let mut connection = connection().await.expect("a connection");
    let line = [&b"a".repeat(LENGTH)[..], b"\n"].concat();
    // The client does not read yet.
    timeout(LIMIT, connection.0.write_all(&line)).await.expect_err("a full socket");
    send(&[], connection).await
}

/// Keeps the rest of the first line, and finishes it before the second.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> Vec<usize> {
    let mut connection = connection().await.expect("a connection");
    let line = [&b"a".repeat(LENGTH)[..], b"\n"].concat();
    let mut rest = &line[..];
    timeout(LIMIT, connection.0.write_all_buf(&mut rest)).await.expect_err("a full socket");
    send(rest, connection).await
}

fn main() {
    println!("mistake: lines of {LENGTH} and 7 bytes are sent, and {:?} received", mistake());
    println!("fix:     lines of {LENGTH} and 7 bytes are sent, and {:?} received", fix());
    println!("why:     a `write_all` that times out has written a part, and forgets how much;");
    println!("         `write_all_buf` advances your slice, so you can send the rest");
}

#[test]
fn a_timed_out_write_all_glues_two_lines_together() {
    let lengths = mistake();
    assert!(lengths.len() == 1 && (8..LENGTH).contains(&lengths[0]), "{lengths:?}");
    assert_eq!(fix(), [LENGTH, 7]);
}
