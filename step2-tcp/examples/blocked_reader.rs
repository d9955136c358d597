//! A thread is blocked in `read` on a `TcpStream`, and another thread cannot wake it.
//!
//! Dropping a `try_clone` closes a handle, not the socket, and `shutdown(Write)` ends the other
//! direction. `shutdown(Both)` and `shutdown(Read)` wake the reader with EOF, so it stops reading.
//! After `Read`, Linux tells the peer nothing, and still accepts what it sends. Step 2 prints what
//! arrives after `/exit`: its reader uses a timeout, and then looks at a channel.
//!
//! Avoided in: `step2-tcp/src/client.rs`, `read`

use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(300);
const END: Duration = Duration::from_secs(20);

/// What the blocked `read` returns within the limit, and whether the peer sees EOF.
type Outcome = (Result<usize, RecvTimeoutError>, bool);

/// Blocks a thread in `read`, calls `wake` with a second handle of its socket, and takes the time.
fn run(wake: fn(TcpStream) -> io::Result<()>, limit: Duration) -> io::Result<(Outcome, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = TcpStream::connect(listener.local_addr()?)?;
    let (mut stream, _) = listener.accept()?;
    let handle = stream.try_clone()?;
    let (read, on_read) = mpsc::channel();
    // Ends when this function drops `peer`, at the latest. Sends the stream, too: dropping it here
    // would end the connection.
    thread::spawn(move || stream.read(&mut [0; 100]).map(|n| read.send((n, stream))));
    assert!(on_read.recv_timeout(Duration::from_millis(100)).is_err(), "the reader is blocked");
    let start = Instant::now();
    wake(handle)?;
    let result = on_read.recv_timeout(limit);
    let time = start.elapsed();
    peer.set_read_timeout(Some(LIMIT))?;
    let eof = matches!(peer.read(&mut [0]), Ok(0));
    Ok(((result.map(|(n, _stream)| n), eof), time))
}

/// Drops the handle; shuts the write side.
fn mistake() -> io::Result<[Outcome; 2]> {
    let drop_handle = |handle| {
        drop(handle);
        Ok(())
    };
    let shut_write = |handle: TcpStream| handle.shutdown(Shutdown::Write);
    Ok([run(drop_handle, LIMIT)?.0, run(shut_write, LIMIT)?.0])
}

/// Shuts the read side; shuts both sides.
fn fix() -> io::Result<[(Outcome, Duration); 2]> {
    let shut_read = |handle: TcpStream| handle.shutdown(Shutdown::Read);
    Ok([run(shut_read, END)?, run(|handle| handle.shutdown(Shutdown::Both), END)?])
}

fn main() -> io::Result<()> {
    let text = |(read, eof): Outcome| format!("`read`: {read:?}; EOF at the peer: {eof}");
    let [dropped, write] = mistake()?.map(text);
    println!("mistake: drop(handle):    {dropped}");
    println!("         shutdown(Write): {write}");
    let [read, both] = fix()?.map(|(outcome, time)| format!("{}, {time:?}", text(outcome)));
    println!("fix:     shutdown(Read):  {read}");
    println!("         shutdown(Both):  {both}");
    println!("why:     both handles belong to one socket, and the reader's keeps it open");
    Ok(())
}

#[test]
fn shutting_the_read_side_wakes_a_blocked_reader() -> io::Result<()> {
    let blocked = Err(RecvTimeoutError::Timeout);
    assert_eq!(mistake()?, [(blocked, false), (blocked, true)]);
    assert_eq!(fix()?.map(|(outcome, _)| outcome), [(Ok(0), false), (Ok(0), true)]);
    Ok(())
}
