//! A deadline that may be absent.

use tokio::time::{Instant, sleep_until};

/// Waits until `deadline`, or forever if there is none.
pub(crate) async fn expiry(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
