//! A thread is blocked in `read` on a `TcpStream`, and another thread cannot wake it.
//!
//! Dropping a `try_clone` closes a handle, not the socket; `shutdown(Write)` ends the other
//! direction. `shutdown(Both)` wakes the reader, but with EOF, so it stops reading. Step 2 prints
//! what still arrives after `/exit`: its reader uses a timeout, and then looks at a channel.
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
    // Ends when this function drops `peer`, at the latest.
    thread::spawn(move || stream.read(&mut [0; 100]).map(|n| read.send(n)));
    let blocked = on_read.recv_timeout(Duration::from_millis(100));
    assert_eq!(blocked, Err(RecvTimeoutError::Timeout));
    let start = Instant::now();
    wake(handle)?;
    let result = on_read.recv_timeout(limit);
    let time = start.elapsed();
    peer.set_read_timeout(Some(LIMIT))?;
    Ok(((result, matches!(peer.read(&mut [0]), Ok(0))), time))
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

/// Shuts both sides.
fn fix() -> io::Result<(Outcome, Duration)> {
    run(|handle| handle.shutdown(Shutdown::Both), END)
}

fn main() -> io::Result<()> {
    let [dropped, write] = mistake()?;
    println!("mistake: drop(handle):    {:?}, EOF at the peer: {}", dropped.0, dropped.1);
    println!("         shutdown(Write): {:?}, EOF at the peer: {}", write.0, write.1);
    let (both, time) = fix()?;
    println!("fix:     shutdown(Both):  {:?}, EOF at the peer: {}, after {time:?}", both.0, both.1);
    println!("why:     both handles belong to one socket, and the reader's keeps it open");
    Ok(())
}

#[test]
fn only_shutdown_of_both_sides_wakes_a_blocked_reader() -> io::Result<()> {
    let blocked = Err(RecvTimeoutError::Timeout);
    assert_eq!(mistake()?, [(blocked, false), (blocked, true)]);
    assert_eq!(fix()?.0, (Ok(0), true));
    Ok(())
}
