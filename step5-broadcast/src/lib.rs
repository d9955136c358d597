//! Step 5: the full room: names, rooms, history, on a broadcast ring.
//!
//! ```text
//! acceptor ── starts a session for each connection
//!
//! client-1 ─┐           ┌─ ring of each room ─ all who are in it
//! client-2 ─┼─ events ─ hub
//! console ──┘           └─ mailbox ─ client-1, client-2, screen
//! ```
//!
//! A session is one task that does whatever its socket is ready for. The hub is the only task that
//! knows names and rooms: nobody shares them, so nobody locks them. What a room says is rendered
//! once, and everyone writes the same bytes.
//!
//! - *Places.* The hub takes one of two places before it collects events. What it publishes carries
//!   the place along, and gives it back when the last session has passed it on. So an idle room
//!   speaks at once, a busy one in larger batches, and nobody is ever too far behind.
//! - *Credit.* A session whose socket refuses bytes holds the others up. It has
//!   [`session::CREDIT`] for that, regained slowly; then it lets the room go, and when its socket
//!   takes bytes again it tells how many lines were missed.
//! - *One order.* The lines of a room are numbered, and every mail says behind which line it is to
//!   be read. So everyone in a room reads the same lines in the same order, and who leaves, enters
//!   or comes back does so between two lines.

use std::{
    fmt::Display,
    io::{self, Write},
};

mod batch;
pub mod client;
mod commands;
#[cfg(unix)]
mod desk;
pub mod ear;
mod feed;
pub mod hub;
mod mail;
mod members;
#[cfg(test)]
mod model;
mod name;
mod operator;
mod room;
mod rooms;
#[cfg(unix)]
mod seen;
pub mod server;
pub mod session;
#[cfg(unix)]
pub mod terminal;

/// Writes a line of status to stderr.
pub fn log(status: impl Display) {
    // A closed stderr must not end the chat.
    let _ = writeln!(io::stderr(), "{status}");
}
