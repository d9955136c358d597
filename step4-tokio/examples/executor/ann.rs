//! One task twice: with `.await`, and as the state machine that the compiler makes of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::NAP;
use crate::executor::{Channel, Recv, Sleep, sleep};

/// Naps, receives a name, and replies. A call only stores the parameters in a future.
pub(crate) async fn ann(inbox: Channel, to_bob: Channel) -> String {
    sleep(NAP).await;
    let name = inbox.recv().await;
    to_bob.send(&format!("hello, {name}"));
    name
}

/// The future that a call of `ann` returns: a variant for each `.await`, one for the start and one
/// for the end. The compiler adds one for a future that has panicked.
///
/// A variant holds the future that is awaited there, and the variables that are used later. A
/// waiting task costs no more than that: no thread and no stack.
pub(crate) enum Ann {
    /// Not polled yet.
    Start { inbox: Channel, to_bob: Channel },
    /// At the first `.await`.
    Sleeping { sleep: Sleep, inbox: Channel, to_bob: Channel },
    /// At the second `.await`.
    Receiving { recv: Recv, to_bob: Channel },
    /// It has returned.
    Done,
}

impl Ann {
    pub(crate) fn new(inbox: Channel, to_bob: Channel) -> Self {
        Self::Start { inbox, to_bob }
    }
}

impl Future for Ann {
    type Output = String;

    /// Continues where the last poll stopped, until something is `Pending` again.
    ///
    /// Why `Pin`? A compiled future may contain references to itself. While it awaits
    /// `stream.read(&mut buf)`, one field holds the future of `read`, which refers to `buf` in
    /// another field. If the whole future moved now, that reference would dangle. `Ann` contains no
    /// such reference, so it is `Unpin`: it may move even when it is pinned, and `get_mut` returns
    /// a plain `&mut`.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<String> {
        let this = self.get_mut();
        loop {
            match this {
                // The compiler moves the variables. A clone is simpler here, and an `Rc` is cheap.
                Self::Start { inbox, to_bob } => {
                    let (inbox, to_bob) = (inbox.clone(), to_bob.clone());
                    *this = Self::Sleeping { sleep: sleep(NAP), inbox, to_bob };
                }
                // The `.await`: `ready!` returns from this function if the answer is `Pending`.
                Self::Sleeping { sleep, inbox, to_bob } => {
                    ready!(Pin::new(sleep).poll(context));
                    *this = Self::Receiving { recv: inbox.recv(), to_bob: to_bob.clone() };
                }
                Self::Receiving { recv, to_bob } => {
                    let name = ready!(Pin::new(recv).poll(context));
                    to_bob.send(&format!("hello, {name}"));
                    *this = Self::Done;
                    return Poll::Ready(name);
                }
                Self::Done => panic!("polled after `Ready`"),
            }
        }
    }
}
