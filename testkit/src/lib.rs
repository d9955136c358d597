//! Drives a chat program from outside, through real sockets and pipes, and holds it to what it
//! promises.
//!
//! [`behaviours`] is the list of promises, a function each. A step lists those that it makes with
//! [`promises!`]; set `CHAT_BIN` to run them against another program.
//!
//! Replies are the barriers: nothing here sleeps in the hope that something has happened, every
//! wait is for something and ends in a failure after [`PATIENCE`]. Processes are killed when they
//! are dropped, and then their stderr is searched for "panicked".

use std::fmt::Debug;
use std::sync::RwLock;
use std::time::Duration;

mod chat;
mod lines;
mod peer;
mod process;
mod raw;
mod script;
pub mod system;
#[cfg(unix)]
mod terminal;
pub mod twins;

pub mod behaviours;

pub use chat::{Chat, Pair};
pub use lines::Lines;
pub use peer::Peer;
pub use process::{End, Process, Server};
pub use script::{Act, play};
#[cfg(unix)]
pub use terminal::Terminal;

/// How long anything may take that has no bound of its own, before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Held for writing by behaviours that load the machine: beside them, no bound would mean much.
///
/// The lock is per process. `cargo test` runs one test binary after another, each a process. Under
/// `cargo nextest` each test is a process, so `.config/nextest.toml` keeps `alone::` tests alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Whether a behaviour can be tried beside others.
#[derive(Debug, Clone, Copy)]
pub enum Machine {
    /// It is light.
    Shared,
    /// It floods, or measures.
    Alone,
}

/// Tries one behaviour.
pub fn check(chat: &Chat, behaviour: fn(&Chat), machine: Machine) {
    // A lock that is poisoned by a failed behaviour is as good as any.
    let (_shared, _alone);
    match machine {
        Machine::Shared => _shared = MACHINE.read().unwrap_or_else(|held| held.into_inner()),
        Machine::Alone => _alone = MACHINE.write().unwrap_or_else(|held| held.into_inner()),
    }
    behaviour(chat);
}

/// Measures up to three times, until the result is below `bound`: on a shared machine, another process
/// may disturb a measurement. A program that is too slow, or too busy, is so every time.
pub(crate) fn best_of_three<T: PartialOrd + Debug>(bound: T, mut measure: impl FnMut() -> T) {
    let first = measure();
    if first < bound {
        return;
    }
    let (second, third) = (measure(), measure());
    let met = second < bound || third < bound;
    assert!(met, "{first:?}, {second:?} and {third:?} exceed {bound:?}");
}

/// Makes a test of each behaviour that a step promises.
#[macro_export]
macro_rules! promises {
    ($chat:expr, shared: [$($shared:ident,)*], alone: [$($alone:ident,)*] $(,)?) => {
        $(
            #[test]
            fn $shared() {
                $crate::check(&$chat, $crate::behaviours::$shared, $crate::Machine::Shared);
            }
        )*
        /// Tests that load the machine, or measure it. nextest knows them by this name.
        mod alone {
            // A list may be empty.
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $alone() {
                    $crate::check(&$chat, $crate::behaviours::$alone, $crate::Machine::Alone);
                }
            )*
        }
    };
}
