//! `write_all` returned `Ok`, but the other side never received the data.
//!
//! `Ok` means that the kernel has a copy. So shut the write side and read to the end: a peer that
//! closes without reading resets the connection. EOF is a strong hint, but a peer may end its own
//! direction first and read later, or never. Only an answer of the other *program* is a proof: step
//! 3's client fails unless the server's goodbye arrives.
//!
//! Avoided in: `step3-multiclient/src/client.rs`, `run`

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LINE: &[u8] = b"hello\n";

/// A stream, and its peer, which closes when the line has arrived, or when it has read everything.
/// The thread returns how many bytes the peer has read.
fn connect(peer_reads: bool) -> io::Result<(TcpStream, JoinHandle<io::Result<u64>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut peer, _) = listener.accept()?;
    let peer = thread::spawn(move || {
        peer.peek(&mut [0])?;
        if peer_reads { io::copy(&mut peer, &mut io::sink()) } else { Ok(0) }
    });
    Ok((stream, peer))
}

/// Returns what `write_all` returned, and how many bytes the peer has read.
fn mistake() -> io::Result<(Result<(), ErrorKind>, u64)> {
    let (mut stream, peer) = connect(false)?;
    let result = stream.write_all(LINE);
    Ok((result.map_err(|error| error.kind()), peer.join().unwrap()?))
}

/// Like [`mistake`], but the result covers the end of the connection.
fn fix(peer_reads: bool) -> io::Result<(Result<(), ErrorKind>, u64)> {
    let (mut stream, peer) = connect(peer_reads)?;
    let result = deliver(&mut stream);
    Ok((result.map_err(|error| error.kind()), peer.join().unwrap()?))
}

fn deliver(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(LINE)?;
    // Fails after a reset, which the read reports.
    let _ = stream.shutdown(Shutdown::Write);
    io::copy(stream, &mut io::sink()).map(drop)
}

fn main() -> io::Result<()> {
    let (result, bytes) = mistake()?;
    println!("mistake: `write_all` returned {result:?}, and the peer has read {bytes} bytes");
    let (result, bytes) = fix(false)?;
    println!("fix:     the same peer, after reading to the end: {result:?}, {bytes} bytes");
    let (result, bytes) = fix(true)?;
    println!("         a peer that reads: {result:?}, {bytes} bytes");
    println!(
        "why:     a write fills a buffer; EOF is a hint, only an answer of the peer is a proof"
    );
    Ok(())
}

#[test]
fn a_successful_write_is_not_delivered_data() -> io::Result<()> {
    assert_eq!(mistake()?, (Ok(()), 0));
    assert_eq!(fix(false)?, (Err(ErrorKind::ConnectionReset), 0));
    assert_eq!(fix(true)?, (Ok(()), LINE.len() as u64));
    Ok(())
}
