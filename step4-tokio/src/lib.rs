//! Step 4: the same chat as step 3, file by file, on Tokio: a task for each thing that waits.
//!
//! ```text
//! accept loop ── starts a session for each connection
//!
//! client-1 reader ─┬─ events ─┐       ┌─ outbox ─ client-1 writer
//! client-2 reader ─┘          ├─ hub ─┼─ outbox ─ client-2 writer
//! keyboard ────────── typed ──┘       └─ outbox ─ printer
//! ```
//!
//! The hub is an actor: nothing else knows the members. Readers send it events, and it sends lines
//! to outboxes, which writers write to their sockets. No mutable state is shared, so our code
//! needs no lock.
//!
//! - *Backpressure with a deadline.* Events and outboxes are bounded. When an outbox is full, the
//!   hub waits, its event queue fills, the readers stop reading, and TCP slows the talkers down. A
//!   slow consumer can do this for at most [`session::WRITE_DEADLINE`]. Then its writer drops its
//!   receiver, the hub's blocked `send` fails at once, and the hub goes on. So a client that reads
//!   fast enough never loses a line, and a client that stops reading holds the room up once, for a
//!   bounded time.
//! - *Closing the outbox disconnects the client.* To do so, the hub drops the sender. The
//!   writer drains the outbox, writes the goodbye and shuts its side down. `/exit`, EOF from a
//!   client and the shutdown of the server all take this path.
//!
//! Read [`hub`] first, then [`batch`], [`session`], [`server`] and [`client`]. The rest is hardening,
//! for a second reading: `accept` (the connection limit, errors), [`console`] (keyboard and output),
//! `operator` (an output that stalls) and [`signals`].

mod accept;
pub mod batch;
pub mod client;
pub mod console;
pub mod hub;
mod operator;
pub mod server;
pub mod session;
pub mod signals;
