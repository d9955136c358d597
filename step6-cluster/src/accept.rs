//! The accept loop: the connection limit, and errors that go away by themselves.

use std::io::{self, ErrorKind, Read, Write};
use std::net;
use std::sync::Arc;
use std::time::Duration;

use common::Line;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::batch::OPERATOR;
use crate::hub::Event;
use crate::session;
use crate::signals::Shutdown;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of connections.
    pub max_clients: usize,
    /// How many lines a room remembers.
    pub history: usize,
    /// How many lines per second a client may send; 0 for no limit.
    pub rate: u32,
}

/// The first pause after an error. It doubles with each error that follows.
const MIN_BACKOFF: Duration = Duration::from_millis(10);

/// The longest pause. Below 1 s: that is when a client whose SYN was dropped tries again.
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// How often errors are reported.
const REPORT: Duration = Duration::from_secs(1);

/// When the kernel asks a silent client whether it is still there, how often, and how many times.
const IDLE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Starts a session for each connection until `on_stop` closes. Holds a sender of `events`, as
/// every session does.
///
/// A connection slot is free again when its session has ended and its socket is closed. So the
/// limit bounds tasks and file descriptors, not only members.
pub(crate) async fn run(
    listener: TcpListener,
    limits: Limits,
    events: Sender<Event>,
    mut on_stop: Shutdown,
) -> JoinSet<()> {
    let mut sessions = JoinSet::new();
    let slots = Arc::new(Semaphore::new(limits.max_clients.min(Semaphore::MAX_PERMITS)));
    let mut id = OPERATOR;
    let mut backoff = Backoff::default();
    loop {
        // All three are cancel-safe: no connection is lost when another branch wins.
        let accepted = select! {
            accepted = listener.accept() => accepted,
            // Without this, the set would grow with every session that has ended.
            Some(_) = sessions.join_next() => continue,
            _ = on_stop.recv() => return sessions,
        };
        match accepted {
            Ok((stream, addr)) => {
                backoff.errors = 0;
                let Ok(slot) = slots.clone().try_acquire_owned() else {
                    refuse(stream);
                    continue;
                };
                id += 1;
                keep_alive(&stream);
                let events = events.clone();
                sessions.spawn(async move {
                    session::run(id, stream, addr, events, limits.rate).await;
                    drop(slot);
                });
            }
            // The client gave up before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                if timeout(backoff.next(&error), on_stop.recv()).await.is_ok() {
                    return sessions;
                }
            }
        }
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
            warn!(%error, "cannot accept");
            self.reported = Some(Instant::now());
        }
        let pause = MIN_BACKOFF * 2_u32.saturating_pow(self.errors);
        self.errors += 1;
        pause.min(MAX_BACKOFF)
    }
}

/// Makes the kernel check whether a silent client is still there.
fn keep_alive(stream: &TcpStream) {
    let probe = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);
    // Fails if the client is gone, which its session notices.
    let _ = SockRef::from(stream).set_tcp_keepalive(&probe);
}

/// Sends the reason and closes. It never waits: the send buffer of a new socket is empty.
fn refuse(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    // If any of this fails, the client is gone already.
    let _ = stream.write(format!("{}\n", Line::Error("server is full")).as_bytes());
    let _ = stream.shutdown(net::Shutdown::Write);
    // Closing a socket with unread input resets the connection, which destroys the line.
    let _ = stream.read(&mut [0; 4096]);
}
