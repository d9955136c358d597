//! The rate limit of a client: a token bucket, one token for each line.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many seconds of silence a burst makes up for.
const BURST: u32 = 10;

/// A bucket of tokens that starts full and is refilled at the rate.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: u32,
    tokens: u32,
    refilled: Instant,
}

impl TokenBucket {
    /// A full bucket that regains `rate` tokens per second; 0 for no limit.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate, tokens: BURST * rate, refilled: Instant::now() }
    }

    /// How many tokens there are now.
    pub(crate) fn available(&mut self) -> usize {
        if self.rate == 0 {
            return usize::MAX;
        }
        let elapsed = self.refilled.elapsed().as_nanos() / self.interval().as_nanos();
        let new = u32::try_from(elapsed).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(new).min(BURST * self.rate);
        // The part of an interval that remains counts for the next token.
        self.refilled += self.interval().saturating_mul(new);
        self.tokens as usize
    }

    /// Takes as many tokens as are available, at most `n`.
    pub(crate) fn take(&mut self, n: usize) {
        self.tokens = self.tokens.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Waits until there is a token.
    pub(crate) async fn ready(&mut self) {
        while self.available() == 0 {
            sleep_until(self.refilled + self.interval()).await;
        }
    }

    /// The time between two tokens.
    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn tokens_return_at_the_rate_up_to_the_burst() {
        let mut bucket = TokenBucket::new(10);
        assert_eq!(bucket.available(), 100);
        bucket.take(100);
        advance(Duration::from_millis(250)).await;
        assert_eq!(bucket.available(), 2);
        bucket.take(2);
        let before = Instant::now();
        bucket.ready().await;
        assert_eq!(before.elapsed(), Duration::from_millis(50));
        advance(Duration::from_secs(3600)).await;
        assert_eq!(bucket.available(), 100);
    }
}
