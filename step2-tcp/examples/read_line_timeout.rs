//! `read_line` with a read timeout loses characters and joins two lines into one.
//!
//! When `read_line` fails, it keeps what it has read in this call only if that is valid UTF-8. So a
//! timeout in the middle of a character discards its first half. Alone, the second half is invalid:
//! the next call discards it, with the line end behind it.
//!
//! Avoided in: `step2-tcp/src/client.rs`, `read`

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::LineDecoder;

/// Two lines: "café" and "tea". The peer pauses in front of "é" and in the middle of it.
const PARTS: [&[u8]; 3] = [b"caf", b"\xC3", b"\xA9\ntea\n"];

fn connect() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, peer))
}

/// Sends the next part, and waits until it has arrived.
fn send(part: &[u8], peer: &mut TcpStream, stream: &TcpStream) -> io::Result<()> {
    peer.write_all(part)?;
    stream.set_read_timeout(None)?;
    stream.peek(&mut [0])?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))
}

/// Returns the first line, and the errors before it.
fn mistake() -> io::Result<(String, Vec<ErrorKind>)> {
    let (stream, mut peer) = connect()?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut errors) = (String::new(), Vec::new());
    for part in PARTS {
        send(part, &mut peer, stream.get_ref())?;
        let error = stream.read_line(&mut line).unwrap_err();
        errors.push(error.kind());
    }
    stream.read_line(&mut line)?;
    Ok((line, errors))
}

/// Returns both lines.
fn fix() -> io::Result<Vec<String>> {
    let (mut stream, mut peer) = connect()?;
    let (mut decoder, mut buf, mut lines) = (LineDecoder::new(100), [0; 100], Vec::new());
    for part in PARTS {
        send(part, &mut peer, &stream)?;
        loop {
            match stream.read(&mut buf) {
                Ok(n) => lines.extend(decoder.feed(&buf[..n]).map_while(Result::ok)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(e) => return Err(e),
            }
        }
    }
    Ok(lines)
}

fn main() -> io::Result<()> {
    let (line, errors) = mistake()?;
    println!("mistake: \"café\\n\", \"tea\\n\" arrive as {line:?} after {errors:?}");
    println!("fix:     `read` and a decoder return {:?}", fix()?);
    println!("why:     `read_line` drops all bytes of a failed call, unless they are valid UTF-8");
    Ok(())
}

#[test]
fn read_line_with_a_timeout_loses_a_split_character() -> io::Result<()> {
    let (line, errors) = mistake()?;
    assert_eq!(line, "caftea\n");
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[2], ErrorKind::InvalidData);
    assert_eq!(fix()?, ["café", "tea"]);
    Ok(())
}
