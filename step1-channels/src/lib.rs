//! Step 1: a writer, a peer and a reader in one process, joined by two bounded channels.
//!
//! ```text
//! stdin → writer → channel → peer → channel → reader → stdout
//! ```
//!
//! The lesson is ownership:
//!
//! - *A line has one owner at a time.* It moves through a channel to the next thread. Nothing is
//!   shared, so nothing is locked.
//! - *A channel closes when its last sender is dropped, and this is the only shutdown signal.* At
//!   `/exit` or EOF the writer returns and drops its sender. That ends the peer's loop, so the peer
//!   returns and drops its own sender, which ends the reader's loop. There is no flag to forget.
//! - *A full channel makes its sender wait.* A slow reader slows down the peer, and the peer slows
//!   down the writer: this is backpressure. So memory is bounded.
//!
//! Read [`peer`] first, then [`client`]. [`console`] and `main` are the scaffolding.

pub mod client;
pub mod console;
pub mod peer;
