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
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    select, signal,
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    client::Console,
    hub::{self, EVENTS, Event, Hub, OPERATOR},
    log, session,
};

/// How many connections may wait to be accepted; std's listener has room for 128.
const BACKLOG: u32 = 4096;

/// How long the farewells and the operator's screen may take together once the server ends.
const DRAIN: Duration = Duration::from_secs(1);

/// How long accepting pauses after an error: the first time, and at most. A client whom the system
/// turned away meanwhile tries again after a second, and should find room then.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How often errors of accepting are told.
const TELL: Duration = Duration::from_secs(1);

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
        listener = socket.bind(addr).and_then(|()| socket.listen(BACKLOG));
        if listener.is_ok() {
            break;
        }
    }
    listener
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
    max_clients: usize,
) -> io::Result<()> {
    let (events, mut inbox) = channel(EVENTS);
    let (stop, stopped) = channel(1);
    let acceptor = tokio::spawn(accept(listener, max_clients, events, stopped));
    let hub = Hub::new(console.screen);
    hub::run(hub, &mut inbox, console.typed, shutdown).await;

    // The hub is gone, and with it every outbox: the writers are saying goodbye.
    let deadline = Instant::now() + DRAIN;
    drop(stop);
    // Dropped when this returns, it aborts the sessions that are left.
    let _sessions = acceptor.await?;
    // Readers may be blocked on a full queue. It closes when the last session has ended.
    while let Ok(Some(_)) = timeout_at(deadline, inbox.recv()).await {}
    // A screen that nobody reads, or that is closed, is no reason to fail or to stay.
    let _ = timeout_at(deadline, console.printed.recv()).await;
    Ok(())
}

/// Starts a session for each connection, until `stop` closes. Holds a sender of `events`, as every
/// session does.
async fn accept(
    listener: TcpListener,
    max_clients: usize,
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
            Ok((stream, _)) if Arc::strong_count(&seats) > max_clients => refuse(stream),
            Ok((stream, _)) => {
                id += 1;
                pause = PAUSE.0;
                sessions.spawn(session::run(id, stream, seats.clone(), events.clone()));
            }
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL) {
                    log(format_args!("cannot accept: {error}"));
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
