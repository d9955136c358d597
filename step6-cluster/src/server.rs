//! Bind, run, shut down.

use std::io;
use std::time::Duration;

use common::check_address;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, lookup_host};
use tokio::select;
use tokio::sync::mpsc::{Receiver, Sender, channel, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::accept::{self, Limits};
use crate::console::Console;
use crate::hub::{self, EVENTS, Event, Hub, Inbox, Outbox};
use crate::nodes::Cluster;
use crate::operator;
use crate::relay::{self, Link, QUEUE};
use crate::signals::Shutdown;

/// How many connections may wait to be accepted; std's listener holds 128.
const BACKLOG: i32 = 4096;

/// The kernel's send buffer of each connection. By default the kernel buffers megabytes, so a slow
/// client would be noticed late.
const SEND_BUFFER: usize = 256 * 1024;

/// How long the sessions, the relay and the operator's printer have to finish when the server ends.
pub const DRAIN: Duration = Duration::from_millis(750);

/// Listens on the first address of `addr` that is free.
///
/// # Errors
///
/// An address of another form than `HOST:PORT`, an unknown host, or no free address.
pub async fn bind(addr: &str) -> io::Result<TcpListener> {
    let mut listener = Err(io::ErrorKind::AddrNotAvailable.into());
    for addr in lookup_host(check_address(addr)?).await? {
        listener = listen(addr);
        if listener.is_ok() {
            break;
        }
    }
    listener
}

fn listen(addr: std::net::SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // A restarted server gets its port at once. On Windows, this option would let two programs
    // share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Serves each listener as a node of a cluster; the first has the operator. When one of them ends,
/// or `shutdown` closes, all end.
///
/// # Errors
///
/// The first error of a node.
pub async fn run_all(
    mut nodes: Vec<(TcpListener, Link)>,
    console: Console,
    mut shutdown: Shutdown,
    limits: Limits,
) -> io::Result<()> {
    // The runtime polls this task more often than those that are spawned. So the hub of a node that
    // is alone in its process runs here, as in step 5.
    if nodes.len() == 1
        && let Some((listener, link)) = nodes.pop()
    {
        return run(listener, Some(console), shutdown, limits, link, channel(1).0).await;
    }
    let (mut running, mut stops, mut console) = (JoinSet::new(), Vec::new(), Some(console));
    let (ending, mut on_ending) = channel(1);
    for (listener, link) in nodes {
        let (stop, on_stop) = channel(1);
        stops.push(stop);
        running.spawn(run(listener, console.take(), on_stop, limits, link, ending.clone()));
    }
    let mut result = Ok(());
    select! {
        _ = shutdown.recv() => {}
        _ = on_ending.recv() => {}
        Some(ended) = running.join_next() => result = ended?,
    }
    drop(stops);
    while let Some(ended) = running.join_next().await {
        result = result.and(ended?);
    }
    result
}

/// Serves `listener` as a node of a cluster until the operator leaves or `shutdown` closes. Then
/// every client gets a goodbye, and the server waits for at most [`DRAIN`] until the sessions and
/// the relay have ended. A node without a console has no operator. `ending` receives a message when
/// the hub has ended.
///
/// # Errors
///
/// An accept loop that failed. An error of a session never ends the server.
async fn run(
    listener: TcpListener,
    console: Option<Console>,
    shutdown: Shutdown,
    limits: Limits,
    link: Link,
    ending: Sender<()>,
) -> io::Result<()> {
    let (events, on_event) = channel(EVENTS);
    let (stop, on_stop) = channel(1);
    let (queue, on_queued) = channel(QUEUE);
    let cluster = Cluster::new(link.node.clone(), queue);
    tokio::spawn(relay::run(link, on_queued, events.clone()));
    let (operator, printed) = console.map(|console| start_operator(console, &events)).unzip();
    let accepting = tokio::spawn(accept::run(listener, limits, events, on_stop));
    let mut inbox = Inbox { events: on_event, shutdown };
    hub::run(Hub::new(operator, limits.history, cluster), &mut inbox).await;

    // The other nodes of this process end, too. It fails if there are none, or if they know already.
    let _ = ending.try_send(());
    // The hub is gone, and with it every outbox: the writers write their goodbyes.
    let deadline = Instant::now() + DRAIN;
    drop(stop);
    // Dropping the sessions aborts those that are left when this returns.
    let _sessions = accepting.await?;
    // Readers may be waiting for space in the event queue. It closes when the last session and the
    // relay have ended.
    while let Ok(Some(_)) = timeout_at(deadline, inbox.events.recv()).await {}
    // An output that is closed or stalled is no reason to fail, or to wait longer.
    if let Some(mut printed) = printed {
        let _ = timeout_at(deadline, printed.recv()).await;
    }
    Ok(())
}

/// Starts the task of the operator. Returns its outbox, and what closes when its output is printed.
fn start_operator(console: Console, events: &Sender<Event>) -> (Outbox, Receiver<io::Result<()>>) {
    let (sender, outbox) = unbounded_channel();
    tokio::spawn(operator::run(console.typed, console.output, events.clone(), outbox));
    (sender, console.printed)
}
