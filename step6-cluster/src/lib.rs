//! Step 5: the full room: names, rooms, history, and a way to deliver that scales.
//!
//! ```text
//! accept loop ── starts a session for each connection
//!
//! guest-1  ─┐                 ┌─ outbox ─ guest-1
//! guest-2  ─┼─ events ─ hub ──┼─ outbox ─ guest-2
//! operator ─┘                 └─ outbox ─ operator
//! ```
//!
//! As in step 4, the hub is an actor that owns everything, and each client has one outbox. A client
//! receives lines in the order of its outbox. Three things are new:
//!
//! - *Render once, share with everybody.* The lines of a room become one [`batch`], and every
//!   member's outbox gets the same `Arc`. Its writer skips the client's own lines.
//! - *Permits travel with the data.* A reader needs one of its client's permits before it reads.
//!   The permit goes along with the lines. It returns when the last recipient's writer is done with
//!   them. So memory is bounded per client, and a sender goes at the pace of its own room. A room
//!   has one batch in flight (group commit): while its members write, the next batch grows. The hub
//!   waits for events only, never for a client, so a slow room does not delay another (bulkhead).
//! - *Slow consumers lag, and the count is exact.* A client whose stall budget is spent is not
//!   disconnected. Its [`writer`] drops the lines of the room, counts them, and sends the client
//!   the number of lines that it missed.
//!
//! Read [`hub`] first, then `session`, `reader`, [`writer`] and [`batch`], then `room` and `rooms`,
//! then [`server`] and [`client`]. `commands` and `name` are what the chat can do. The rest is
//! hardening, for a second reading: [`accept`] (the connection limit, errors), `token_bucket`
//! (the rate limit), `operator` (a member without a socket), [`console`] (keyboard and output),
//! [`signals`] and `timer`.

pub mod accept;
pub mod batch;
pub mod client;
mod cluster;
mod commands;
pub mod console;
pub mod envelope;
pub mod hub;
mod messages;
pub mod name;
mod nodes;
mod operator;
mod presence;
mod reader;
pub mod relay;
mod remote;
mod room;
mod rooms;
pub mod server;
mod session;
pub mod signals;
mod timer;
mod token_bucket;
pub mod writer;
