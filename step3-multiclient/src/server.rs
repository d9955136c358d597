//! Bind, accept, shut down.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use common::Line;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use crate::{
    client::Console,
    hub::{self, EVENTS, Event, Hub, Id, OPERATOR},
    log, session,
};

/// How long the farewells and the operator's screen may take together once the server ends.
const DRAIN: Duration = Duration::from_secs(1);

/// How long accepting pauses after an error: the first time, and at most. A client whom the system
/// turned away meanwhile tries again after a second, and should find room then.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How often errors of accepting are told.
const TELL: Duration = Duration::from_secs(1);

/// The channel closes at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once
/// with 130.
///
/// # Errors
///
/// Handlers that could not be installed; they can be once in a process.
pub fn on_signal() -> io::Result<Receiver<Infallible>> {
    let (shutdown, on_shutdown) = bounded(0);
    let mut shutdown = Some(shutdown);
    ctrlc::set_handler(move || {
        if shutdown.take().is_none() {
            process::exit(130);
        }
    })
    .map_err(io::Error::other)?;
    Ok(on_shutdown)
}

/// Serves `listener` until the operator leaves or `shutdown` closes. Then everyone is told goodbye,
/// and whoever has not taken it within a second is left behind.
///
/// # Errors
///
/// An acceptor that could not start. No session's error ends a server.
pub fn run(
    listener: TcpListener,
    console: Console,
    shutdown: Receiver<Infallible>,
    max_clients: usize,
) -> io::Result<()> {
    let addr = listener.local_addr()?;
    let (events, inbox) = bounded(EVENTS);
    let (stop, stopped) = bounded(0);
    let acceptor = thread::Builder::new()
        .name("acceptor".into())
        .spawn(move || accept(listener, max_clients, events, stopped))?;
    let hub = Hub::new(console.screen);
    hub::run(hub, &inbox, console.typed, shutdown);

    // The hub is gone, and with it every outbox: the writers are saying goodbye.
    let deadline = Instant::now() + DRAIN;
    drop(stop);
    wake(addr, &acceptor, deadline);
    // Readers may be blocked on a full queue. It closes when the last session has ended.
    while inbox.recv_deadline(deadline).is_ok() {}
    // A screen that nobody reads, or that is closed, is no reason to fail or to stay.
    let _ = console.printed.recv_deadline(deadline);
    Ok(())
}

/// Starts a session for each connection, until `stop` closes. Holds a sender of `events`, as every
/// session does.
fn accept(
    listener: TcpListener,
    max_clients: usize,
    events: Sender<Event>,
    stop: Receiver<Infallible>,
) {
    let seats = Arc::new(());
    let mut id = OPERATOR;
    let mut pause = PAUSE.0;
    let mut told = None::<Instant>;
    loop {
        // A thread that is blocked here sees nothing else: `wake` makes it look at `stop`.
        let accepted = listener.accept();
        if stop.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
        match accepted {
            Ok((stream, _)) if Arc::strong_count(&seats) > max_clients => refuse(stream),
            Ok((stream, _)) => {
                id += 1;
                pause = PAUSE.0;
                start(id, stream, seats.clone(), events.clone());
            }
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL) {
                    log(format_args!("cannot accept: {error}"));
                    told = Some(Instant::now());
                }
                if stop.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                pause = PAUSE.1.min(pause * 2);
            }
        }
    }
}

/// A session that cannot start costs its client only.
fn start(id: Id, stream: TcpStream, seat: Arc<()>, events: Sender<Event>) {
    let started = thread::Builder::new()
        .name(hub::name(id))
        .spawn(move || session::run(id, stream, seat, events));
    if let Err(error) = started {
        log(format_args!("cannot start a session: {error}"));
    }
}

/// Says why, and closes. Nobody waits: a fresh socket has room for a line.
fn refuse(mut stream: TcpStream) {
    // What fails here has failed for somebody who is gone already.
    let _ = stream.set_nonblocking(true);
    let _ = stream.write(format!("{}\n", Line::Error("server is full")).as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    // With input unread, closing would reset the connection and destroy the line.
    let _ = stream.read(&mut [0; 4096]);
}

/// Ends the acceptor, which is blocked in accept and has to look at `stop`: a throw-away connection
/// makes it. Connecting fails while descriptors are out, so this goes on until the thread ends.
fn wake(addr: SocketAddr, acceptor: &JoinHandle<()>, deadline: Instant) {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let addr = SocketAddr::new(ip, addr.port());
    while !acceptor.is_finished() && Instant::now() < deadline {
        let _ = TcpStream::connect_timeout(&addr, PAUSE.0);
        thread::sleep(PAUSE.0);
    }
}
