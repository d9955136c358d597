//! "Connection reset by peer" instead of the goodbye that the server has written.
//!
//! If a socket is closed while input is unread, TCP sends a reset instead of an orderly end, and
//! discards what is still in the send buffer. The fix: shut the write side, read until the client
//! has closed its side (with a deadline), and close only then.
//!
//! Avoided in: `step3-multiclient/src/session.rs`, `run`

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

const CHAT: usize = 64 * 1024;
const GOODBYE: &[u8] = b"* goodbye\n";

/// How many bytes arrive, whether the goodbye is the last of them, and the error if there is one.
type Outcome = (usize, bool, Option<ErrorKind>);

/// A client that has read nothing yet, and its server, which has written a chat and the goodbye,
/// but has not read the client's line.
fn chat() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Most of the chat has to wait in the server's send buffer, as on a slow network.
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.set_recv_buffer_size(8 * 1024)?;
    client.connect(&listener.local_addr()?.into())?;
    let mut client = TcpStream::from(client);
    let (mut server, _) = listener.accept()?;
    SockRef::from(&server).set_send_buffer_size(4 * CHAT)?;
    client.write_all(b"hello\n")?;
    server.peek(&mut [0])?;
    server.write_all(&[b'x'; CHAT])?;
    server.write_all(GOODBYE)?;
    Ok((client, server))
}

fn receive(mut client: TcpStream) -> Outcome {
    let mut bytes = Vec::new();
    let end = client.read_to_end(&mut bytes);
    (bytes.len(), bytes.ends_with(GOODBYE), end.err().map(|error| error.kind()))
}

fn mistake() -> io::Result<Outcome> {
    let (client, server) = chat()?;
    drop(server);
    Ok(receive(client))
}

fn fix() -> io::Result<Outcome> {
    let (client, mut server) = chat()?;
    server.shutdown(Shutdown::Write)?;
    server.set_read_timeout(Some(Duration::from_secs(20)))?;
    let drain = thread::spawn(move || io::copy(&mut server, &mut io::sink()));
    let outcome = receive(client);
    drain.join().unwrap()?;
    Ok(outcome)
}

fn main() -> io::Result<()> {
    let (bytes, goodbye, end) = mistake()?;
    println!("mistake: {bytes} bytes arrive, goodbye among them: {goodbye}, error: {end:?}");
    let (bytes, goodbye, end) = fix()?;
    println!("fix:     {bytes} bytes arrive, goodbye among them: {goodbye}, error: {end:?}");
    println!("         shutdown(Write), read to EOF, then close");
    println!("why:     closing with unread input resets the connection; the send buffer is lost");
    Ok(())
}

#[test]
fn closing_with_unread_input_destroys_the_goodbye() -> io::Result<()> {
    let (bytes, goodbye, end) = mistake()?;
    assert!(bytes < CHAT && !goodbye, "{bytes} bytes");
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
    assert_eq!(fix()?, (CHAT + GOODBYE.len(), true, None));
    Ok(())
}
