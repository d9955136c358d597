//! The connection to a NATS server.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use async_nats::{ConnectOptions, Event, ServerAddr};
use common::sanitize;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc::{Sender, channel};
use tracing::{debug, warn};

use crate::envelope::{ALL_ROOMS, MAX_ENVELOPE, node_subject};
use crate::relay::{Link, Relay, Subscription};

/// How many messages of each of the two subscriptions may wait in the NATS library for the hub. It
/// drops what comes on top.
const RECEIVED: usize = 512;

/// How many messages may wait in the NATS library for its connection.
const SENT: usize = 16;

/// How often the NATS library pings a silent server. If two pings have no answer when it is time for
/// the third, after 1.5 s, the connection is lost.
const PING: Duration = Duration::from_millis(500);

/// How long an attempt to connect may take, once the host's address is known.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before the next attempt.
const RECONNECT: Duration = Duration::from_millis(250);

impl Link {
    /// Connects a node to a NATS server. The URL may hold a user and a password, or a token; a file
    /// may hold credentials. The library reconnects by itself.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, an invalid URL, or a NATS server that refuses, does not answer or
    /// takes only messages below `MAX_ENVELOPE`.
    pub async fn nats(node: String, url: &str, credentials: Option<&Path>) -> io::Result<Self> {
        let (states, connected) = channel(1);
        let server = parse(url)?;
        let mut options = authorize(options(states).name(&node), &server);
        if let Some(path) = credentials {
            let context = |error| as_text(format!("{}: {error}", path.display()));
            options = options.credentials_file(path).await.map_err(context)?;
        }
        let addr = format!("{}:{}", server.host(), server.port());
        let client = options.connect(without_password(server)?).await;
        let client = client.map_err(|error| as_text(format!("{addr}: {error}")))?;
        let limit = client.server_info().max_payload;
        if limit < MAX_ENVELOPE {
            let reason = format!("it takes {limit} bytes in a message, less than {MAX_ENVELOPE}");
            return Err(as_text(format!("{addr}: {reason}")));
        }
        let rooms = client.subscribe(ALL_ROOMS).await.map_err(as_text)?;
        let private = client.subscribe(node_subject(&node)).await.map_err(as_text)?;
        let subscription = Subscription::Nats { rooms, private, connected };
        Ok(Self { node, relay: Relay::Nats(client), subscription })
    }
}

fn options(states: Sender<bool>) -> ConnectOptions {
    ConnectOptions::new()
        .no_echo()
        // A NATS server advertises others of its cluster, which may not use TLS.
        .ignore_discovered_servers()
        .ping_interval(PING)
        .connection_timeout(CONNECT_TIMEOUT)
        .reconnect_delay_callback(|attempt| if attempt > 1 { RECONNECT } else { Duration::ZERO })
        .client_capacity(SENT)
        .subscription_capacity(RECEIVED)
        .event_callback(move |event| report(event, states.clone()))
}

/// Checks the URL. The library would also take those of web sockets, and use no TLS for them.
fn parse(url: &str) -> io::Result<ServerAddr> {
    let valid = |server: &ServerAddr| {
        matches!(server.scheme(), "nats" | "tls") && !server.host().is_empty()
    };
    let reason = "expected nats://HOST:PORT or tls://HOST:PORT";
    let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
    url.parse().ok().filter(valid).ok_or(error)
}

/// Takes the user and the password, or the token, from the URL. The library does not.
fn authorize(options: ConnectOptions, server: &ServerAddr) -> ConnectOptions {
    let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match (server.username().map(decode), server.password().map(decode)) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        (Some(token), None) => options.token(token),
        (None, _) => options,
    }
}

/// The URL as it may be logged.
fn without_password(server: ServerAddr) -> io::Result<ServerAddr> {
    let mut url = server.into_inner();
    // Fails for a URL without a host, which `parse` refuses.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    ServerAddr::from_url(url)
}

/// Keeps only the text of an error. It contains the cause, and `main` would print it again. Control
/// characters are replaced: the server may have sent them.
fn as_text(error: impl Display) -> io::Error {
    io::Error::other(sanitize(&error.to_string()))
}

/// Passes on whether the client is connected, and logs the rest.
async fn report(event: Event, states: Sender<bool>) {
    let connected = match event {
        Event::Connected => true,
        Event::Disconnected => false,
        // For example, that the credentials do not permit a subject.
        Event::ServerError(error) => {
            return warn!(error = %as_text(error), "the NATS server reports an error");
        }
        event => return debug!(%event, "NATS"),
    };
    // Fails if the relay task has ended.
    let _ = states.send(connected).await;
}
