//! Black-box tests for the chat programs, through real sockets and pipes.
//!
//! [`behaviours`] holds one function for each promised behaviour. A step lists the behaviours that
//! it promises with [`promises!`]. Set `CHAT_BIN` to test another program, such as your own.
//!
//! [`book`] reads the docs for the tests that compare them with the code.
//!
//! A test never sleeps and hopes that something has happened: it waits for a reply, and fails after
//! [`PATIENCE`]. A dropped process is killed, and its stderr is searched for "panicked".

use std::fmt::Debug;
use std::sync::RwLock;
use std::time::Duration;

pub mod book;
mod bus;
mod chat;
mod cluster;
mod lines;
mod nats;
mod peer;
mod process;
mod raw;
pub mod roads;
mod script;
pub mod system;
#[cfg(unix)]
mod terminal;
pub mod twins;

pub mod behaviours;

pub use bus::{Bus, Message};
pub use chat::{Chat, Pair};
pub use cluster::{Cluster, eventually};
pub use lines::Lines;
pub use nats::Nats;
pub use peer::Peer;
pub use process::{End, Process, Server};
pub use script::{Act, play};
#[cfg(unix)]
pub use terminal::Terminal;

/// The timeout of every wait that has no shorter bound of its own.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A lock that keeps other tests from running while one loads the machine.
///
/// Time limits would mean little otherwise. The lock works within one process: `cargo test` runs
/// one test binary after another, each in a process. `cargo nextest` runs each test in a process of
/// its own, so there `.config/nextest.toml` runs the tests of the module `alone` alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Whether a behaviour can be tested in parallel with others.
#[derive(Debug, Clone, Copy)]
pub enum Machine {
    /// A test that needs little of the machine.
    Shared,
    /// A test that loads the machine, or measures.
    Alone,
}

/// Tests one behaviour.
pub fn check(chat: &Chat, behaviour: impl FnOnce(&Chat), machine: Machine) {
    // A failed behaviour poisons the lock. The lock guards no data, so that does not matter.
    let (_shared, _alone);
    match machine {
        Machine::Shared => _shared = MACHINE.read().unwrap_or_else(|error| error.into_inner()),
        Machine::Alone => _alone = MACHINE.write().unwrap_or_else(|error| error.into_inner()),
    }
    behaviour(chat);
}

/// Measures up to three times, until a result is below `bound`.
///
/// On a shared machine, another process may disturb one measurement. A program that is too slow or
/// too busy exceeds the bound every time.
pub fn best_of_three<T: PartialOrd + Debug>(bound: T, mut measure: impl FnMut() -> T) {
    let first = measure();
    if first < bound {
        return;
    }
    let (second, third) = (measure(), measure());
    let met = second < bound || third < bound;
    assert!(met, "{first:?}, {second:?} and {third:?} exceed {bound:?}");
}

/// Generates one test for each behaviour that a step promises.
#[macro_export]
macro_rules! promises {
    ($chat:expr, shared: [$($shared:ident,)*], alone: [$($alone:ident,)*] $(,)?) => {
        $(
            #[test]
            fn $shared() {
                $crate::check(&$chat, $crate::behaviours::$shared, $crate::Machine::Shared);
            }
        )*
        /// Tests that load the machine, or measure. The nextest filter relies on this name.
        mod alone {
            // The list may be empty.
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
