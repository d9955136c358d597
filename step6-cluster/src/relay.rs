//! The relay: what joins the hubs of several nodes. It delivers at most once: what it loses is
//! gone, and the numbers in the envelopes show how much that was.

use std::error::Error;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event as NatsEvent, ServerAddr, Subscriber};
use percent_encoding::percent_decode_str;
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, channel as ring};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt;
use tracing::{debug, warn};

use crate::envelope::{Envelope, Incoming, Outgoing, ROOMS, TICK, node_subject};
use crate::hub::Event;

/// How many envelopes may wait for the relay. The hub never waits: it drops what comes on top.
pub(crate) const QUEUE: usize = 64;

/// How many envelopes the ring keeps for a node that is behind.
const RING: usize = 64;

/// How many messages of NATS may wait in the client for the hub. It drops what comes on top.
const RECEIVED: usize = 512;

/// How many messages may wait in the client for its connection.
const SENT: usize = 16;

/// How many characters of a reason are logged.
const REASON: usize = 200;

/// How often the client of NATS asks a silent server whether it is still there. If it stays silent
/// for three times as long, the connection is lost.
const PING: Duration = Duration::from_millis(500);

/// How long the client may take to connect, and how long it pauses before the next attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT: Duration = Duration::from_millis(250);

/// What joins the nodes.
#[derive(Debug)]
enum Relay {
    /// Joins the nodes of one process. A ring keeps the last messages for all of them, and a node
    /// that is too far behind loses the oldest.
    Local(broadcast::Sender<Arc<Message>>),
    /// Joins the nodes of many processes through a NATS server.
    Nats(Client),
}

/// A message in the ring.
#[derive(Debug)]
struct Message {
    from: String,
    subject: String,
    payload: Vec<u8>,
}

/// What a node receives from the relay.
#[derive(Debug)]
enum Subscription {
    Local(broadcast::Receiver<Arc<Message>>),
    Nats { rooms: Subscriber, private: Subscriber, connected: Receiver<bool> },
}

/// One node's connection to the relay.
#[derive(Debug)]
pub struct Link {
    /// The name of the node.
    pub(crate) node: String,
    relay: Relay,
    subscription: Subscription,
}

impl Link {
    /// Joins nodes of these names in one process.
    pub fn local(nodes: impl IntoIterator<Item = String>) -> Vec<Self> {
        let (sender, _) = ring(RING);
        let link = |node| Self {
            node,
            relay: Relay::Local(sender.clone()),
            subscription: Subscription::Local(sender.subscribe()),
        };
        nodes.into_iter().map(link).collect()
    }

    /// Connects a node to a NATS server. The URL may hold a user and a password, or a token; a file
    /// may hold credentials. The client reconnects by itself.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, a URL that is none, or a server that refuses or does not answer.
    pub async fn nats(node: String, url: &str, credentials: Option<&Path>) -> io::Result<Self> {
        let (states, connected) = channel(1);
        let server: ServerAddr = url.parse()?;
        let mut options = authorize(ConnectOptions::new(), &server)
            .name(&node)
            .no_echo()
            .ping_interval(PING)
            .connection_timeout(CONNECT_TIMEOUT)
            .reconnect_delay_callback(
                |attempt| if attempt > 1 { RECONNECT } else { Duration::ZERO },
            )
            .client_capacity(SENT)
            .subscription_capacity(RECEIVED)
            .event_callback(move |event| report(event, states.clone()));
        if let Some(path) = credentials {
            options = options.credentials_file(path).await?;
        }
        let client = options.connect(server).await.map_err(other)?;
        let rooms = client.subscribe(ROOMS).await.map_err(other)?;
        let private = client.subscribe(node_subject(&node)).await.map_err(other)?;
        let subscription = Subscription::Nats { rooms, private, connected };
        Ok(Self { node, relay: Relay::Nats(client), subscription })
    }
}

/// Takes the user and the password, or the token, from the URL. The client does not.
fn authorize(options: ConnectOptions, server: &ServerAddr) -> ConnectOptions {
    let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match (server.username().map(decode), server.password().map(decode)) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        (Some(token), None) => options.token(token),
        (None, _) => options,
    }
}

/// The error as text: it says its cause already, which `main` would repeat.
fn other(error: impl Error) -> io::Error {
    io::Error::other(error.to_string())
}

/// Passes on whether the client is connected, and logs the rest.
async fn report(event: NatsEvent, states: Sender<bool>) {
    let connected = match event {
        NatsEvent::Connected => true,
        NatsEvent::Disconnected => false,
        // For example, that the credentials do not permit a subject.
        NatsEvent::ServerError(error) => return warn!(%error, "the NATS server reports an error"),
        event => return debug!(%event, "NATS"),
    };
    // Fails if this server has ended.
    let _ = states.send(connected).await;
}

/// Publishes what the hub queues, and sends the hub what the relay delivers. Ends when the hub has
/// dropped the sender of `queue` and everything in it is written.
///
/// As in a session, neither half may wait for the other: while the relay accepts nothing, the hub
/// still needs to know that it is lost.
pub(crate) async fn run(link: Link, queue: Receiver<Outgoing>, events: Sender<Event>) {
    let Link { node, relay, subscription } = link;
    select! {
        () = publish(&node, &relay, queue) => {}
        () = receive(&node, subscription, events) => {}
    }
}

async fn publish(node: &str, relay: &Relay, mut queue: Receiver<Outgoing>) {
    while let Some(Outgoing { subject, envelope }) = queue.recv().await {
        match relay {
            // This node is alone.
            Relay::Local(ring) if ring.receiver_count() == 1 => {}
            Relay::Local(ring) => {
                let (from, payload) = (node.into(), envelope.encode());
                // Fails if no node is left.
                let _ = ring.send(Arc::new(Message { from, subject, payload }));
            }
            // The client waits while its queue is full. It fails for a message that is too large
            // for the server.
            Relay::Nats(client) => {
                if let Err(error) = client.publish(subject, envelope.encode().into()).await {
                    warn!(%error, "cannot publish");
                }
            }
        }
    }
    if let Relay::Nats(client) = relay {
        // Fails if the client has ended. Then there is nothing to write.
        let _ = client.flush().await;
    }
}

async fn receive(node: &str, mut subscription: Subscription, events: Sender<Event>) {
    let mut ticks = interval(TICK);
    // A process that was stopped does not make up for the ticks that it missed: it did not listen
    // in that time, so the other nodes were not silent.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let incoming = select! {
            incoming = subscription.next(node) => incoming,
            _ = ticks.tick() => Incoming::Tick,
        };
        if events.send(Event::Relay(incoming)).await.is_err() {
            // The hub has ended. `publish` ends this task.
            return pending().await;
        }
    }
}

impl Subscription {
    /// Waits for the next envelope, or for the end or the return of the connection. Cancel-safe.
    async fn next(&mut self, node: &str) -> Incoming {
        loop {
            let decoded = match self {
                Self::Local(ring) => match ring.recv().await {
                    Ok(message) if !message.concerns(node) => continue,
                    Ok(message) => Envelope::decode(&message.payload),
                    // The numbers in the next envelopes show how many lines are missing.
                    Err(RecvError::Lagged(envelopes)) => {
                        warn!(envelopes, "the node is behind: the ring has overwritten envelopes");
                        continue;
                    }
                    Err(RecvError::Closed) => pending().await,
                },
                Self::Nats { rooms, private, connected } => select! {
                    Some(message) = rooms.next() => Envelope::decode(&message.payload),
                    Some(message) = private.next() => Envelope::decode(&message.payload),
                    Some(connected) = connected.recv() => return Incoming::Connected(connected),
                    else => pending().await,
                },
            };
            match decoded {
                Ok(envelope) => return Incoming::Envelope(envelope),
                // It may quote the envelope.
                Err(reason) => {
                    let reason: String = reason.chars().take(REASON).collect();
                    warn!(reason, "an envelope is ignored");
                }
            }
        }
    }
}

impl Message {
    /// Whether a node receives the message: not its own, and of the private ones only those to it.
    fn concerns(&self, node: &str) -> bool {
        let private = self.subject.starts_with(&node_subject(""));
        self.from != node && (!private || self.subject == node_subject(node))
    }
}
