//! Step 6: the room beyond one machine: step 5 and a relay.
//!
//! ```text
//! clients of a ─ events ─ hub of a ── relay ── hub of b ─ events ─ clients of b
//!                            │          │          │
//!                         outboxes   hub of c   outboxes
//! ```
//!
//! A *node* is what a server was so far: a hub, its clients and an accept loop. The hub still knows
//! everything about its own clients. About the others it knows what their hubs publish. Three things
//! are new:
//!
//! - *The hub never waits for the relay.* [`relay`] is a task of its own behind a bounded queue.
//!   What does not fit is lost; the clients of this node receive a notice, and go on.
//! - *Lost lines are counted.* The relay delivers at most once. Each node numbers what is said in
//!   its rooms, so the others know exactly how many lines they have missed.
//! - *Members are a state.* Joins and leaves travel with the lines, in order. Every two seconds, a
//!   roster of all members repairs whatever was lost. A node that is silent for six seconds is
//!   gone, and its members with it.
//!
//! Read [`envelope`] first (what nodes send each other), then [`relay`], `nodes` (what a hub knows
//! of the others) and `cluster`, `messages` and `presence` (what the hub does with it). `exchange` is
//! what is new in a room, `nats` connects to a server. Everything around the hub is as in step 5:
//! the session, its reader and its writer do not know that there are other nodes.

pub mod accept;
pub mod batch;
pub mod client;
mod cluster;
mod commands;
pub mod console;
pub mod envelope;
mod exchange;
pub mod hub;
mod messages;
pub mod name;
mod nats;
mod nodes;
mod operator;
mod presence;
mod reader;
pub mod relay;
mod room;
mod rooms;
pub mod server;
mod session;
pub mod signals;
mod timer;
mod token_bucket;
pub mod writer;
