//! Bind, accept, shut down.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::Shutdown,
    process,
    sync::Arc,
    time::Duration,
};

use common::Line;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    select, signal,
    sync::{
        Semaphore,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::warn;

use crate::{
    client::Console,
    ear::Rate,
    feed::Feed,
    hub::{self, EVENTS, Event, Hub, OPERATOR, Peer},
    mail::MAILBOX,
    operator, session,
};

/// How many connections may wait to be accepted; std's listener has room for 128.
const BACKLOG: u32 = 4096;

/// How much the system may keep for a client that does not read. Left to itself, it keeps megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// When a silent client is asked whether it is still there, how often, and how many times.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 3);

/// How long the farewells and the operator's screen may take together once the server ends.
const DRAIN: Duration = Duration::from_secs(1);

/// How long accepting pauses after an error: the first time, and at most. A client whom the system
/// turned away meanwhile tries again after a second, and should find room then.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How often errors of accepting are told.
const TELL: Duration = Duration::from_secs(1);

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many clients may be here at once.
    pub max_clients: usize,
    /// How many lines a room remembers.
    pub history: usize,
    /// How much a client may say.
    pub rate: Rate,
    /// How many batches may be on their way at once.
    pub places: usize,
}

/// Listens on the first address of `addr` that is free.
///
/// # Errors
///
/// A name that leads nowhere, or no address that is free.
pub async fn bind(addr: &str) -> io::Result<TcpListener> {
    let mut listener = Err(io::ErrorKind::AddrNotAvailable.into());
    for addr in lookup_host(addr).await? {
        let socket = match addr.is_ipv4() {
            true => TcpSocket::new_v4()?,
            false => TcpSocket::new_v6()?,
        };
        // Elsewhere it would let somebody else take the port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        // Whoever is accepted inherits it.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        listener = socket.bind(addr).and_then(|()| socket.listen(BACKLOG));
        if listener.is_ok() {
            break;
        }
    }
    listener
}

/// Lets as many clients be here at once as the system lets this process have.
pub fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: maximum,
            maximum,
        };
        // What is not granted is met by a pause when descriptors run out.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// The channel closes at the first SIGINT or SIGTERM; a second one ends the process at once
/// with 130.
///
/// # Errors
///
/// Handlers that could not be installed.
pub fn on_signal() -> io::Result<Receiver<Infallible>> {
    let (shutdown, on_shutdown) = channel(1);
    let mut shutdown = Some(shutdown);
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = {
        use signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    #[cfg(windows)]
    let (mut interrupt, mut terminate) = {
        use signal::windows::{ctrl_c, ctrl_close};
        (ctrl_c()?, ctrl_close()?)
    };
    tokio::spawn(async move {
        loop {
            select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.take().is_none() {
                process::exit(130);
            }
        }
    });
    Ok(on_shutdown)
}

/// Serves `listener` until the operator leaves or `shutdown` closes. Then everyone is told goodbye,
/// and whoever has not taken it within a second is left behind.
///
/// # Errors
///
/// An acceptor that panicked. No session's error ends a server.
pub async fn run(
    listener: TcpListener,
    mut console: Console,
    shutdown: Receiver<Infallible>,
    limits: Limits,
) -> io::Result<()> {
    let (events, mut inbox) = channel(EVENTS);
    let (stop, stopped) = channel(1);
    let acceptor = tokio::spawn(accept(listener, limits, events, stopped));
    let (mailbox, mails) = channel(MAILBOX);
    tokio::spawn(operator::show(Feed::new(OPERATOR, mails), console.screen));
    let seat = Arc::new(());
    let hub = Hub::new(Peer { seat, mailbox }, limits.history);
    let places = Arc::new(Semaphore::new(limits.places));
    hub::run(hub, &mut inbox, console.typed, shutdown, places).await;

    // The hub is gone, and with it every mailbox and ring: the sessions are saying goodbye.
    let deadline = Instant::now() + DRAIN;
    drop(stop);
    // Dropped when this returns, it aborts the sessions that are left.
    let _sessions = acceptor.await?;
    // Sessions may wait for a full queue. It closes when the last session has ended.
    while let Ok(Some(_)) = timeout_at(deadline, inbox.recv()).await {}
    // A screen that nobody reads, or that is closed, is no reason to fail or to stay.
    let _ = timeout_at(deadline, console.printed.recv()).await;
    Ok(())
}

/// Starts a session for each connection, until `stop` closes. Holds a sender of `events`, as every
/// session does.
async fn accept(
    listener: TcpListener,
    limits: Limits,
    events: Sender<Event>,
    mut stop: Receiver<Infallible>,
) -> JoinSet<()> {
    let mut sessions = JoinSet::new();
    let seats = Arc::new(());
    let mut id = OPERATOR;
    let mut pause = PAUSE.0;
    let mut told = None::<Instant>;
    loop {
        // What waits in a branch is dropped when another one is taken: nobody has to be woken.
        let accepted = select! {
            accepted = listener.accept() => accepted,
            // A set that nobody reaps grows with every session that ended.
            Some(_) = sessions.join_next() => continue,
            _ = stop.recv() => return sessions,
        };
        match accepted {
            Ok((stream, _)) if Arc::strong_count(&seats) > limits.max_clients => refuse(stream),
            Ok((stream, addr)) => {
                id += 1;
                pause = PAUSE.0;
                keep_alive(&stream);
                let (seat, events) = (seats.clone(), events.clone());
                sessions.spawn(session::run(id, stream, addr, seat, events, limits.rate));
            }
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL) {
                    warn!(%error, "cannot accept");
                    told = Some(Instant::now());
                }
                if timeout(pause, stop.recv()).await.is_ok() {
                    return sessions;
                }
                pause = PAUSE.1.min(pause * 2);
            }
        }
    }
}

/// Has the system find out whether a silent client is still there.
fn keep_alive(stream: &TcpStream) {
    let (time, interval, retries) = KEEP_ALIVE;
    let keep_alive = TcpKeepalive::new()
        .with_time(time)
        .with_interval(interval)
        .with_retries(retries);
    // Fails for a client that is gone, which its session learns.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keep_alive);
}

/// Says why, and closes. Nobody waits: a fresh socket has room for a line.
fn refuse(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else {
        return;
    };
    // What fails here has failed for somebody who is gone already.
    let _ = stream.write(format!("{}\n", Line::Error("server is full")).as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    // With input unread, closing would reset the connection and destroy the line.
    let _ = stream.read(&mut [0; 4096]);
}
