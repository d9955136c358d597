//! The accept loop: the connection limit, and errors that go away by themselves.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::Line;
use crossbeam_channel::{RecvTimeoutError, Sender, TryRecvError};

use crate::batch::OPERATOR;
use crate::console::status;
use crate::hub::Event;
use crate::session;
use crate::signals::Shutdown;

/// The first pause after an error. It doubles with each error that follows.
const MIN_BACKOFF: Duration = Duration::from_millis(10);

/// The longest pause. Below 1 s: that is when a client whose SYN was dropped tries again.
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// How long [`wake`] tries to connect, and how long it pauses before it tries again.
const WAKE: Duration = Duration::from_millis(10);

/// How often errors are reported.
const REPORT: Duration = Duration::from_secs(1);

/// Starts a session for each connection until `on_stop` closes. Holds a sender of `events`, as
/// every session does.
///
/// A connection slot is free again when its session has ended and its socket is closed. So the
/// limit bounds threads and file descriptors, not only members.
pub(crate) fn run(
    listener: TcpListener,
    max_clients: usize,
    events: Sender<Event>,
    on_stop: Shutdown,
) {
    let slots = Slots::default();
    let mut id = OPERATOR;
    let mut backoff = Backoff::default();
    loop {
        // A thread that is blocked here sees nothing else, so `wake` connects.
        let accepted = listener.accept();
        if on_stop.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
        let started = match accepted {
            Ok((stream, _)) => {
                let Some(slot) = slots.take(max_clients) else {
                    refuse(stream);
                    continue;
                };
                id += 1;
                let events = events.clone();
                thread::Builder::new().name(format!("writer-{id}")).spawn(move || {
                    session::run(id, stream, events);
                    drop(slot);
                })
            }
            // The client gave up before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => Err(error),
        };
        match started {
            Ok(_) => backoff.errors = 0,
            Err(error) => {
                if on_stop.recv_timeout(backoff.next(&error)) == Err(RecvTimeoutError::Disconnected)
                {
                    return;
                }
            }
        }
    }
}

/// Connection slots. Each clone of the `Arc` is a slot that is taken until it is dropped.
#[derive(Default)]
struct Slots(Arc<()>);

impl Slots {
    fn take(&self, max: usize) -> Option<Arc<()>> {
        // `<=`, since the count includes this `Arc`, which is no slot.
        (Arc::strong_count(&self.0) <= max).then(|| self.0.clone())
    }
}

/// Grows the pause with each error in a row, and reports the errors once in a while.
#[derive(Default)]
struct Backoff {
    errors: u32,
    reported: Option<Instant>,
}

impl Backoff {
    fn next(&mut self, error: &io::Error) -> Duration {
        if self.reported.is_none_or(|last| last.elapsed() >= REPORT) {
            status(format_args!("cannot accept: {error}"));
            self.reported = Some(Instant::now());
        }
        let pause = MIN_BACKOFF * 2_u32.saturating_pow(self.errors);
        self.errors += 1;
        pause.min(MAX_BACKOFF)
    }
}

/// Sends the reason and closes. It never waits: the send buffer of a new socket is empty.
fn refuse(mut stream: TcpStream) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    // If any of this fails, the client is gone already.
    let _ = stream.write(format!("{}\n", Line::Error("server is full")).as_bytes());
    let _ = stream.shutdown(net::Shutdown::Write);
    // Closing a socket with unread input resets the connection, which destroys the line.
    let _ = stream.read(&mut [0; 4096]);
}

/// Ends an accept loop whose `on_stop` is closed. It may be blocked in `accept`, so a throw-away
/// connection wakes it. Connecting fails while no file descriptor is free: try until `deadline`.
pub(crate) fn wake(
    mut addr: SocketAddr,
    accepting: JoinHandle<()>,
    deadline: Instant,
) -> io::Result<()> {
    // `set_ip` keeps the scope of an IPv6 address, which a link-local address needs.
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    while Instant::now() < deadline {
        if accepting.is_finished() {
            let panicked = |_| io::Error::other("the accept loop panicked");
            return accepting.join().map_err(panicked);
        }
        // If it fails, the next one may succeed.
        let _ = TcpStream::connect_timeout(&addr, WAKE);
        thread::sleep(WAKE);
    }
    Ok(())
}
