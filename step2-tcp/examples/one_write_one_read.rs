//! Messages arrive glued together, or cut in two, and only sometimes.
//!
//! TCP carries a stream of bytes and knows no messages. One `read` returns whatever has arrived and
//! fits: two writes at once, or a part of one. The receiver has to find the ends of the messages:
//! this is framing.
//!
//! Avoided in: `step2-tcp/src/client.rs`, `read`

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use common::LineDecoder;

fn messages() -> [String; 3] {
    ["one".into(), "two".into(), "x".repeat(5000)]
}

/// A stream on which all messages have arrived, each from a write of its own, and then EOF.
fn connect() -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    let mut sent = 0;
    for message in messages() {
        let line = format!("{message}\n");
        peer.write_all(line.as_bytes())?;
        sent += line.len();
    }
    let mut buf = vec![0; sent];
    while stream.peek(&mut buf)? < sent {
        thread::yield_now();
    }
    Ok(stream)
}

/// Takes what a read returns for a message.
fn mistake() -> io::Result<Vec<String>> {
    let (mut stream, mut buf, mut received) = (connect()?, [0; 4096], Vec::new());
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(received),
            n => received.push(String::from_utf8_lossy(&buf[..n]).into_owned()),
        }
    }
}

/// Splits what arrives into lines.
fn fix() -> io::Result<Vec<String>> {
    let (mut stream, mut buf, mut received) = (connect()?, [0; 4096], Vec::new());
    let mut decoder = LineDecoder::new(10_000);
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(received),
            n => received.extend(decoder.feed(&buf[..n]).map_while(Result::ok)),
        }
    }
}

fn lengths(messages: &[String]) -> Vec<usize> {
    messages.iter().map(String::len).collect()
}

fn main() -> io::Result<()> {
    let received = mistake()?;
    println!("mistake: writes of 4, 4 and 5001 bytes, reads of {:?} bytes;", lengths(&received));
    println!("         the first begins with {:?}", &received[0][..10]);
    println!("fix:     lines of {:?} bytes: a decoder splits at the LF", lengths(&fix()?));
    println!("why:     TCP delivers bytes in order, and keeps no boundary between two writes");
    Ok(())
}

#[test]
fn a_read_is_not_a_message() -> io::Result<()> {
    let received = mistake()?;
    assert_eq!(lengths(&received), [4096, 913]);
    assert!(received[0].starts_with("one\ntwo\nxx"));
    assert_eq!(fix()?, messages());
    Ok(())
}
