//! Step 4: the same chat as step 3, line for line, on Tokio: a task for each thing that waits.
//!
//! ```text
//! acceptor ── starts a session for each connection
//!
//! client-1 reader ─┐                 ┌─ outbox ─ client-1 (writer)
//! client-2 reader ─┼─ events ─ hub ──┼─ outbox ─ client-2 (writer)
//! console ─ typed ─┘                 └─ screen ─ printer
//! ```
//!
//! The hub is the only task that knows who is here. Readers send it events, and it sends lines to
//! outboxes, which writers take to their sockets: nobody shares the registry, so nobody locks it.
//!
//! - *Backpressure with a deadline.* Events and outboxes are bounded. When an outbox is full, the
//!   hub waits, its event queue fills, readers stop reading, and TCP holds the talkers up. Whoever
//!   causes it has [`session::STUCK`] to take what was written: after that its writer gives up and
//!   drops its end of the outbox, upon which the hub's send fails and the hub goes on. So a
//!   healthy client never loses a line, and a stuck one holds the room up once, and not for long.
//! - *The end of the outbox is the farewell.* To let somebody go, the hub drops the sender. The
//!   writer takes what is still queued, says goodbye and shuts its side. `/exit`, the end of a
//!   client's input and the end of the server are this one path.

use std::{
    fmt::Display,
    io::{self, Write},
};

pub mod client;
pub mod hub;
pub mod server;
pub mod session;

/// Writes a line of status to stderr.
pub fn log(status: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{status}");
}
