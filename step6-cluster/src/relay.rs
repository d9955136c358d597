//! The relay: what joins the hubs of several nodes. It delivers at most once: what it loses is
//! gone, and the numbers in the envelopes show how much that was.

use std::future::pending;
use std::sync::Arc;

use async_nats::connection::State;
use async_nats::{Client, Subscriber};
use tokio::select;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, channel as ring};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt;
use tracing::warn;

use crate::envelope::{Envelope, Incoming, Outgoing, TICK, node_subject};
use crate::hub::Event;

/// How many envelopes may wait for the relay: one for each room, and some more. The hub never
/// waits: what does not fit is lost.
pub(crate) const QUEUE: usize = 1024;

/// How many envelopes the ring keeps for a node that lags.
const RING: usize = 64;

/// How many characters of a reason are logged.
const REASON: usize = 200;

/// What joins the nodes.
#[derive(Debug)]
pub(crate) enum Relay {
    /// Joins the nodes of one process. A ring keeps the last messages for all of them, and a node
    /// that lags too far loses the oldest.
    Local(broadcast::Sender<Arc<Message>>),
    /// Joins the nodes of many processes through a NATS server.
    Nats(Client),
}

/// A message in the ring.
#[derive(Debug)]
pub(crate) struct Message {
    from: String,
    subject: String,
    payload: Vec<u8>,
}

/// The source of what a node receives from the relay.
#[derive(Debug)]
pub(crate) enum Subscription {
    Local(broadcast::Receiver<Arc<Message>>),
    Nats { rooms: Subscriber, private: Subscriber, connected: Receiver<bool> },
}

/// One node's connection to the relay.
#[derive(Debug)]
pub struct Link {
    /// The name of the node.
    pub(crate) node: String,
    pub(crate) relay: Relay,
    pub(crate) subscription: Subscription,
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
        () = receive(&node, &relay, subscription, events) => {}
    }
}

async fn publish(node: &str, relay: &Relay, mut queue: Receiver<Outgoing>) {
    while let Some(Outgoing { subject, envelope, permit: _permit }) = queue.recv().await {
        match relay {
            // No other node receives, so nothing is encoded.
            Relay::Local(ring) if ring.receiver_count() == 1 => {}
            Relay::Local(ring) => {
                let (from, payload) = (node.into(), envelope.encode());
                // Fails if no node is left.
                let _ = ring.send(Arc::new(Message { from, subject, payload }));
                // The other nodes receive first: the ring holds fewer envelopes than the queue.
                yield_now().await;
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

async fn receive(node: &str, relay: &Relay, mut subscription: Subscription, events: Sender<Event>) {
    let mut ticks = interval(TICK);
    // A process that was stopped does not make up for the ticks that it missed: it did not listen
    // in that time, so the other nodes were not silent.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let incoming = select! {
            incoming = subscription.next(node) => incoming,
            _ = ticks.tick() => Incoming::Tick(relay.is_connected()),
        };
        if events.send(Event::Relay(incoming)).await.is_err() {
            // The hub has ended. `publish` ends this task.
            return pending().await;
        }
    }
}

impl Relay {
    fn is_connected(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Nats(client) => client.connection_state() == State::Connected,
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
                        warn!(envelopes, "the node lags: the ring has overwritten envelopes");
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
                // The reason may quote the envelope, so only its beginning is logged.
                Err(reason) => {
                    let reason: String = reason.chars().take(REASON).collect();
                    warn!(reason, "an envelope is ignored");
                    // Decoding may take milliseconds, and the clients need the thread, too.
                    yield_now().await;
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
