//! Each request takes 40 ms on a connection that needs less than 1 ms.
//!
//! Nagle's algorithm holds a small write back until the earlier one is acknowledged. The peer delays
//! that, to send it with its answer. But the peer can answer only after the second write.
//!
//! Avoided in: `step2-tcp/src/client.rs`, `run`

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const NAME: &[u8] = b"ann: ";
const TEXT: &[u8] = b"hello\n";

/// Answers each request of `NAME` and `TEXT` with one byte, until EOF.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; NAME.len() + TEXT.len()];
    while stream.read_exact(&mut request).is_ok() {
        stream.write_all(b".")?;
    }
    Ok(())
}

/// Returns the median time from a request to its answer.
fn run(nodelay: bool, request: fn(&mut TcpStream) -> io::Result<()>) -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    let peer = thread::spawn(move || answer(peer));
    stream.set_nodelay(nodelay)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        request(&mut stream)?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    drop(stream);
    peer.join().unwrap()?;
    times.sort();
    Ok(times[ROUNDS / 2])
}

fn write_twice(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(NAME)?;
    stream.write_all(TEXT)
}

fn write_once(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[NAME, TEXT].concat())
}

fn mistake() -> io::Result<Duration> {
    run(false, write_twice)
}

/// Without Nagle's algorithm, and with one write per request.
fn fix() -> io::Result<[Duration; 2]> {
    Ok([run(true, write_twice)?, run(false, write_once)?])
}

fn main() -> io::Result<()> {
    println!("mistake: two small writes, then a read: {:?}", mistake()?);
    let [nodelay, once] = fix()?;
    println!("fix:     with set_nodelay: {nodelay:?}; with one write: {once:?}");
    println!("why:     the second write waits for an acknowledgement that the other side delays");
    Ok(())
}

#[test]
fn nagle_and_a_delayed_acknowledgement_cost_40_ms() -> io::Result<()> {
    let slow = mistake()?;
    assert!(slow >= Duration::from_millis(35), "{slow:?}");
    for fast in fix()? {
        assert!(fast < Duration::from_millis(20), "{fast:?}");
    }
    Ok(())
}
