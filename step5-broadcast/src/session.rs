//! The server's side of one connection: one task that hears a client and writes what it is to read,
//! whichever the socket is ready for.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use common::Line;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    select,
    sync::mpsc::{Sender, channel},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};

use crate::{
    ear::{Ear, READ, Rate},
    feed::Feed,
    hub::{Event, Id, Peer},
    mail::MAILBOX,
};

/// How long a client's socket may hold its room up in one go.
pub const CREDIT: Duration = Duration::from_millis(500);

/// Shorter stops cost no credit: in a flood they are the pace at which everybody reads.
const STOP: Duration = Duration::from_millis(250);

/// Which part of the other time is credited again.
const REGAIN: u32 = 16;

/// How long a socket may take nothing of what it is given.
pub const STUCK: Duration = Duration::from_secs(5);

/// How long a client may take over its last lines, and then over closing its side.
const LINGER: Duration = Duration::from_secs(1);

/// Reports that a client left, when it is dropped: a task that panics drops it, too.
struct Leaving {
    id: Id,
    events: Sender<Event>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let (id, events) = (self.id, self.events.clone());
        // A drop cannot await, so a task does. It fails if the server has ended.
        tokio::spawn(async move { events.send(Event::Left(id)).await });
    }
}

/// Serves one client until it has left and its connection is closed.
pub(crate) async fn run(
    id: Id,
    stream: TcpStream,
    addr: SocketAddr,
    seat: Arc<()>,
    events: Sender<Event>,
    rate: Rate,
) {
    // Fails for a client that is gone, which reading tells.
    let _ = stream.set_nodelay(true);
    let (mailbox, mails) = channel(MAILBOX);
    if events
        .send(Event::Joined(id, Peer { seat, mailbox }))
        .await
        .is_err()
    {
        return;
    }
    // Dropped last: a receiver or a socket must not outlive what is told of them.
    let leaving = Leaving { id, events };
    let mut feed = Feed::new(id, mails);
    let mut ear = Ear::new(rate);
    match serve(&stream, &mut feed, &mut ear, &leaving).await {
        Ok(()) => farewell(stream, ear.flood).await,
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            warn!(id, %addr, "cut: took nothing for {STUCK:?}");
        }
        Err(error) if error.kind() == ErrorKind::Other => warn!(id, %addr, "cut: {error}"),
        // A connection that breaks is how clients vanish.
        Err(error) => debug!(id, %addr, %error, "lost"),
    }
}

/// Hears and writes, until the hub lets the client go and all is written.
async fn serve(
    stream: &TcpStream,
    feed: &mut Feed,
    ear: &mut Ear,
    Leaving { id, events }: &Leaving,
) -> io::Result<()> {
    let mut pace = Pace::new();
    loop {
        if pace.blocked.is_none() {
            write(stream, feed, &mut pace)?;
        }
        if feed.ended() {
            return Ok(());
        }
        let blocked = pace.blocked.is_some();
        let holds = feed.holds();
        let hears = !ear.ended && ear.asked == feed.answers;
        select! {
            ready = stream.writable(), if blocked => {
                ready?;
                write(stream, feed, &mut pace)?;
            }
            () = async { sleep_until(pace.deadline(holds)).await }, if blocked => match holds {
                true => feed.let_go(),
                false => return Err(ErrorKind::TimedOut.into()),
            },
            came = feed.wait(blocked), if !(blocked && holds) => came?,
            place = events.reserve(), if !blocked && feed.behind => {
                feed.behind = false;
                // Fails if the server ends, and with it the room.
                let _ = place.map(|place| place.send(Event::Back(*id)));
            }
            heard = ear.hear(*id, stream, events), if hears => heard?,
        }
    }
}

/// Writes what there is, as far as the socket takes it.
fn write(stream: &TcpStream, feed: &mut Feed, pace: &mut Pace) -> io::Result<()> {
    let mut moved = false;
    let written = feed.advance(|pieces| {
        let n = stream.try_write_vectored(pieces)?;
        moved = true;
        Ok(n)
    });
    match written {
        Ok(()) => pace.go_on(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => pace.stop(moved),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// How long a socket may refuse bytes.
#[derive(Debug)]
struct Pace {
    /// How much of [`CREDIT`] was left when the socket last stopped or went on.
    credit: Duration,
    since: Instant,
    /// Since when the socket refuses bytes.
    blocked: Option<Instant>,
    moved: Instant,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            credit: CREDIT,
            since: now,
            blocked: None,
            moved: now,
        }
    }

    /// The socket has taken everything.
    fn go_on(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            self.since = Instant::now();
            let stopped = self.since - blocked;
            if stopped >= STOP {
                self.credit = self.credit.saturating_sub(stopped);
            }
        }
    }

    /// The socket has refused something, perhaps after taking some.
    fn stop(&mut self, moved: bool) {
        let now = Instant::now();
        if moved || self.blocked.is_none() {
            self.moved = now;
        }
        if self.blocked.is_none() {
            self.credit = CREDIT.min(self.credit + (now - self.since) / REGAIN);
            self.blocked = Some(now);
        }
    }

    /// When a socket that still refuses has to let its room go, or is cut.
    fn deadline(&self, holds: bool) -> Instant {
        match self.blocked {
            Some(blocked) if holds => blocked + self.credit,
            _ => self.moved + STUCK,
        }
    }
}

/// Says goodbye and closes, so that the client reads it.
async fn farewell(mut stream: TcpStream, flood: bool) {
    let goodbye = format!("{}\n", Line::Notice("goodbye"));
    let last = async {
        stream.write_all(goodbye.as_bytes()).await?;
        stream.shutdown().await
    };
    // Who does not take it is gone or stuck.
    let _ = timeout(LINGER, last).await;
    // Closing with input unread would reset the connection and destroy the last lines.
    let rest = async { while stream.readable().await.is_ok() && discard(&stream) {} };
    if !flood {
        let _ = timeout(LINGER, rest).await;
    }
}

/// Whether there may be more.
fn discard(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; READ]) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
