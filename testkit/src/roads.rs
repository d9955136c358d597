//! Programs that keep some promises of a step and break others.
//!
//! [`roads!`](crate::roads!) holds such a program to both lists: what it keeps has to pass, and
//! what it breaks has to fail. So neither list can become wrong unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crate::{Chat, Machine, check};

/// A promise that a program breaks: its name, its test, and why the program breaks it.
pub type Broken = (&'static str, fn(&Chat), &'static str);

/// Expects that the program breaks all of `broken`.
///
/// They run at the same time, because most of them fail by waiting in vain. What they print is
/// shown only if this fails.
pub fn expect_broken(chat: &Chat, broken: &[Broken]) {
    let run = |behaviour: fn(&Chat)| {
        let kept = || check(chat, behaviour, Machine::Shared);
        panic::catch_unwind(AssertUnwindSafe(kept)).is_ok()
    };
    let kept: Vec<_> = thread::scope(|threads| {
        let start = |(name, behaviour, why): &Broken| {
            let behaviour = *behaviour;
            (*name, *why, threads.spawn(move || run(behaviour)))
        };
        let running: Vec<_> = broken.iter().map(start).collect();
        let kept = running.into_iter().filter_map(|(name, why, running)| {
            running.join().expect("a caught panic").then(|| format!("{name} (\"{why}\")"))
        });
        kept.collect()
    });
    assert!(kept.is_empty(), "listed as broken, but kept: {kept:#?}");
}

/// Expects that every promise in a step's `tests/behaviour.rs` is in one of the lists, and nothing
/// is in two.
pub fn expect_complete(behaviour_rs: &str, lists: &[&[&str]]) {
    let promised: BTreeSet<_> = promised(behaviour_rs).collect();
    let mut listed = BTreeMap::<_, usize>::new();
    for name in lists.iter().copied().flatten() {
        *listed.entry(*name).or_default() += 1;
    }
    let twice: Vec<_> = listed.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "in more than one list: {twice:?}");
    let listed: BTreeSet<_> = listed.into_keys().collect();
    let missing: Vec<_> = promised.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&promised).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

/// The names in the lists of a `promises!`, as rustfmt indents them.
pub fn promised(behaviour_rs: &str) -> impl Iterator<Item = &str> {
    let lines = behaviour_rs.lines().filter_map(|line| line.strip_prefix("        "));
    lines.map(|line| line.trim_end_matches(','))
}

/// Holds an example program of a step to the promises that it keeps, and to those that it breaks.
///
/// ```ignore
/// roads! {
///     mutex: Chat::example(3, env!("CARGO_BIN_EXE_step3-multiclient"), "mutex"),
///     keeps: [a_partial_line_is_buffered,],
///     keeps_alone: [twenty_floods_reach_every_reader,],
///     keeps_slowly: [a_short_stall_costs_no_line,],
///     breaks: [exit_leaves: "The reader joins a thread that waits for the keyboard.",],
///     breaks_slowly: [],
///     unstable: [a_port_can_be_used_again: "The server lives for as long as the last socket.",],
/// }
/// ```
///
/// `keeps` and `keeps_alone` are the lists `shared` and `alone` of [`promises!`](crate::promises!).
/// Those in `breaks` must fail. `keeps_slowly` and `breaks_slowly` take long or need a quiet machine,
/// and run only with `cargo test -- --ignored`. `unstable` does not run, because luck decides, or
/// because the test would not end. Together they are all the promises of the step.
#[macro_export]
macro_rules! roads {
    (
        $road:ident: $chat:expr,
        keeps: [$($keeps:ident,)*],
        keeps_alone: [$($alone:ident,)*],
        keeps_slowly: [$($slowly:ident,)*],
        breaks: [$($broken:ident: $why:literal,)*],
        breaks_slowly: [$($long:ident: $cause:literal,)*],
        unstable: [$($unstable:ident: $because:literal,)*] $(,)?
    ) => {
        mod $road {
            // Some lists may be empty.
            #[allow(unused_imports)]
            use super::*;
            #[allow(unused_imports)]
            use $crate::{Machine, behaviours, check, roads};

            $crate::promises! {
                $chat,
                shared: [$($keeps,)*],
                alone: [$($alone,)*],
            }

            #[test]
            fn what_it_breaks() {
                let broken: &[roads::Broken] =
                    &[$((stringify!($broken), behaviours::$broken, $why)),*];
                roads::expect_broken(&$chat, broken);
            }

            #[test]
            #[ignore = "takes long: cargo test -- --ignored"]
            fn what_it_breaks_slowly() {
                let broken: &[roads::Broken] =
                    &[$((stringify!($long), behaviours::$long, $cause)),*];
                roads::expect_broken(&$chat, broken);
            }

            #[test]
            fn every_promise_is_listed() {
                roads::expect_complete(
                    include_str!("behaviour.rs"),
                    &[
                        &[$(stringify!($keeps)),*],
                        &[$(stringify!($alone)),*],
                        &[$(stringify!($slowly)),*],
                        &[$(stringify!($broken)),*],
                        &[$(stringify!($long)),*],
                        &[$(stringify!($unstable)),*],
                    ],
                );
            }

            /// Kept as well, but not tested each time. The nextest filter relies on this name.
            mod slowly {
                #[allow(unused_imports)]
                use super::*;
                $(
                    #[test]
                    #[ignore = "takes long: cargo test -- --ignored"]
                    fn $slowly() {
                        check(&$chat, behaviours::$slowly, Machine::Alone);
                    }
                )*
            }
        }
    };
}
