//! `read` fails with `WouldBlock` ("Resource temporarily unavailable"), and the conversation ends.
//!
//! With a read timeout, `WouldBlock` (on Windows `TimedOut`) means "nothing has arrived yet". `?`
//! treats it like a broken connection, so a healthy conversation ends because its peer is silent.
//!
//! Avoided in: `step2-tcp/src/client.rs`, `read`

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::LineDecoder;

const TIMEOUT: Duration = Duration::from_millis(100);

/// A stream on which half a line has arrived, and its peer, which is silent now.
fn half_a_line() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    peer.write_all(b"hel")?;
    stream.peek(&mut [0])?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok((stream, peer))
}

fn read_line(stream: &mut TcpStream) -> io::Result<String> {
    let (mut decoder, mut buf) = (LineDecoder::new(100), [0; 100]);
    loop {
        let n = stream.read(&mut buf)?;
        if let Some(Ok(line)) = decoder.feed(&buf[..n]).next() {
            return Ok(line);
        }
    }
}

/// Returns the error that ended the conversation, and what the peer sends after it.
fn mistake() -> io::Result<(ErrorKind, String)> {
    let (mut stream, mut peer) = half_a_line()?;
    let error = read_line(&mut stream).unwrap_err();
    peer.write_all(b"lo\n")?;
    drop(peer);
    stream.set_read_timeout(None)?;
    Ok((error.kind(), io::read_to_string(stream)?))
}

/// Returns how often `read` timed out, and the line.
fn fix() -> io::Result<(usize, String)> {
    let (mut stream, mut peer) = half_a_line()?;
    let (mut decoder, mut buf, mut timeouts) = (LineDecoder::new(100), [0; 100], 0);
    loop {
        let n = match stream.read(&mut buf) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                timeouts += 1;
                peer.write_all(b"lo\n")?; // The peer goes on.
                continue;
            }
            result => result?,
        };
        if let Some(Ok(line)) = decoder.feed(&buf[..n]).next() {
            return Ok((timeouts, line));
        }
    }
}

fn main() -> io::Result<()> {
    let (error, later) = mistake()?;
    println!("mistake: {error:?} after {TIMEOUT:?} ends the chat; the peer still sends {later:?}");
    let (timeouts, line) = fix()?;
    println!("fix:     {timeouts} timeout, then the line {line:?}: no data yet, so read again");
    println!("why:     a read that times out fails, but the connection is healthy");
    Ok(())
}

#[test]
fn a_read_timeout_does_not_mean_a_broken_connection() {
    let (error, later) = mistake().unwrap();
    assert!(matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut) && later == "lo\n");
    assert!(matches!(fix().unwrap(), (1.., line) if line == "hello"));
}
