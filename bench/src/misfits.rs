//! Clients that read slowly, vanish, or send rubbish.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// How many there are: a third of each kind.
pub(crate) const COUNT: usize = 60;

/// What all threads of a soak share.
pub(crate) struct Show {
    pub(crate) addr: SocketAddr,
    pub(crate) open: AtomicBool,
    /// Slow readers that the server has disconnected.
    pub(crate) evicted: AtomicU64,
}

impl Show {
    pub(crate) fn goes_on(&self) -> bool {
        self.open.load(Relaxed)
    }
}

/// Runs the misfit `n` until the show ends.
pub(crate) fn run(show: &Show, n: usize) {
    let turns = n..;
    for turn in turns.take_while(|_| show.goes_on()) {
        // A server that is full, or gone, ends it.
        let ended = match n % 3 {
            0 => slow(show),
            1 => vanish(show, turn),
            _ => send_rubbish(show, n),
        };
        if ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return;
        }
    }
}

/// Reads 40 KB a second, behind a receive buffer of a few KiB, until it is disconnected. Blank lines
/// show when: the end of the stream waits behind all that is unread, but a write is reset at once.
fn slow(show: &Show) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(show.addr), Type::STREAM, None)?;
    // Before it connects: the window that is offered to the server cannot shrink later.
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&show.addr.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    while show.goes_on() {
        let read = stream.read(&mut [0; 2_000]);
        match read.and_then(|n| stream.write(b"\n").and(Ok(n))) {
            Ok(1..) => thread::sleep(Duration::from_millis(50)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => {
                show.evicted.fetch_add(1, Relaxed);
                break;
            }
        }
    }
    Ok(())
}

/// Connects, says something, and leaves in one of three ways.
fn vanish(show: &Show, turn: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(show.addr)?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"hello\nhalf a li")?;
    thread::sleep(Duration::from_millis(100));
    match turn % 3 {
        0 => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        1 => stream.shutdown(Shutdown::Write),
        _ => stream.write_all(b"\n/exit\n"),
    }
}

/// Sends all bytes there are, for two seconds.
fn send_rubbish(show: &Show, n: usize) -> std::io::Result<()> {
    let mut bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    bytes.extend_from_slice(b"\n/nope\n/exitx\n\x1b[2J\n");
    bytes.rotate_left(n);
    let mut stream = TcpStream::connect(show.addr)?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let start = Instant::now();
    while show.goes_on() && start.elapsed() < Duration::from_secs(2) {
        stream.write_all(&bytes)?;
        // Reads some of the answers, so that it is not disconnected at once.
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        let _ = stream.read(&mut [0; 4096]);
    }
    Ok(())
}
