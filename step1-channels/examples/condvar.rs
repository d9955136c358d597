//! A bounded channel by hand: one `Mutex` for the queue, two `Condvar`s to wait with.
//!
//! `send` waits while the queue is full, `recv` waits while it is empty, and `close` ends both.
//! Step 1 uses `std::sync::mpsc::sync_channel`, which also closes when all its senders are dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait of `main` and the tests.
const LIMIT: Duration = Duration::from_secs(20);

/// A bounded FIFO queue for any number of senders and receivers.
struct Channel<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// The senders that wait for space. With one condvar for senders and receivers, `notify_one`
    /// could wake the wrong kind: a receiver instead of the sender that now has space.
    not_full: Condvar,
    /// The receivers that wait for a value.
    not_empty: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    closed: bool,
    /// How many waits have begun. Only `main` and the tests need it, to see that a thread waits.
    waits: usize,
}

impl<T> Channel<T> {
    fn new(capacity: usize) -> Arc<Self> {
        let state = Mutex::new(State { queue: VecDeque::new(), closed: false, waits: 0 });
        let (not_full, not_empty) = (Condvar::new(), Condvar::new());
        Arc::new(Self { state, capacity, not_full, not_empty })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    /// Waits for space. Returns the value if the channel is closed.
    fn send(&self, value: T) -> Result<(), T> {
        let mut state = self.lock();
        // `while`, not `if`: a wake-up may be spurious. Or another sender takes the space before
        // this thread has the lock again.
        while state.queue.len() >= self.capacity && !state.closed {
            state.waits += 1;
            // Unlocks and falls asleep in one step, so no notification is lost between the two.
            state = self.not_full.wait(state).expect("as in `lock`");
        }
        if state.closed {
            return Err(value);
        }
        state.queue.push_back(value);
        // Notify after unlocking: a receiver that wakes up while the lock is held has to wait again.
        drop(state);
        self.not_empty.notify_one();
        Ok(())
    }

    /// Waits for a value. Returns `None` if the channel is closed and empty.
    fn recv(&self) -> Option<T> {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.closed {
            state.waits += 1;
            state = self.not_empty.wait(state).expect("as in `lock`");
        }
        let value = state.queue.pop_front();
        drop(state);
        self.not_full.notify_one();
        value
    }

    /// Wakes all senders and all receivers: nothing would wake the rest later.
    fn close(&self) {
        self.lock().closed = true;
        self.not_full.notify_all();
        self.not_empty.notify_all();
    }

    /// Polls the state until `wanted` is true.
    fn until(&self, wanted: impl Fn(&State<T>) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !wanted(&self.lock()) {
            assert!(Instant::now() < deadline, "{} waits have begun", self.lock().waits);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs `task` on `count` threads, each with a number. The returned function waits for a result.
fn spawn<T: Send + 'static, R: Send + 'static>(
    channel: Arc<Channel<T>>,
    count: usize,
    task: fn(&Channel<T>, usize) -> R,
) -> impl FnMut() -> R {
    let (sender, results) = mpsc::channel();
    for n in 0..count {
        let (channel, sender) = (channel.clone(), sender.clone());
        thread::spawn(move || sender.send(task(&channel, n)));
    }
    move || results.recv_timeout(LIMIT).expect("a thread that ends")
}

fn main() {
    let channel = Channel::new(2);
    let mut next =
        spawn(channel.clone(), 1, |channel, _| (1..).find_map(|n| channel.send(n).err()));
    channel.until(|state| state.waits == 1);
    println!("full:  {:?} are queued, and the producer waits with 3", channel.lock().queue);
    println!("recv:  {:?} leaves space for it", channel.recv());
    channel.until(|state| state.waits > 1 && state.queue.len() == 2);
    channel.close();
    println!("close: the blocked `send` returns {:?}", next());
    println!("drain: {:?}, {:?}, then {:?}", channel.recv(), channel.recv(), channel.recv());
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[test]
    fn close_returns_the_values_of_blocked_senders_and_keeps_queued_values() {
        let channel = Channel::new(2);
        let next = spawn(channel.clone(), 5, |channel, n| channel.send(n).err());
        channel.until(|state| state.waits == 3);
        // A spurious wake-up for each blocked sender. There is no space, so it waits again.
        channel.not_full.notify_all();
        channel.until(|state| state.waits == 6);
        channel.close();
        let mut values: Vec<_> = iter::repeat_with(next).take(5).flatten().collect();
        assert_eq!(values.len(), 3);
        values.extend(iter::from_fn(|| channel.recv()));
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn many_threads_lose_and_repeat_nothing() {
        let channel = Channel::new(3);
        let sent = spawn(channel.clone(), 4, |channel, n| {
            for value in n * 1000..(n + 1) * 1000 {
                channel.send(value).expect("an open channel");
                assert!(channel.lock().queue.len() <= 3);
            }
        });
        let received = spawn(channel.clone(), 4, |channel, _| {
            iter::from_fn(|| channel.recv()).collect::<Vec<_>>()
        });
        iter::repeat_with(sent).take(4).for_each(drop);
        channel.close();
        let mut values: Vec<_> = iter::repeat_with(received).take(4).flatten().collect();
        values.sort_unstable();
        assert!(values.into_iter().eq(0..4000));
    }

    type Recv = fn(&Channel<u8>, usize) -> Option<u8>;

    /// Two receivers wait, and one value wakes both.
    fn wake_both(recv: Recv) -> (Arc<Channel<u8>>, impl FnMut() -> Option<u8>) {
        let channel = Channel::new(1);
        let next = spawn(channel.clone(), 2, recv);
        channel.until(|state| state.waits == 2);
        channel.lock().queue.push_back(7);
        channel.not_empty.notify_all();
        (channel, next)
    }

    #[test]
    fn with_if_a_receiver_takes_an_open_channel_for_a_closed_one() {
        let (channel, mut next) = wake_both(|channel, _| {
            let mut state = channel.lock();
            if state.queue.is_empty() && !state.closed {
                state.waits += 1;
                state = channel.not_empty.wait(state).expect("as in `lock`");
            }
            state.queue.pop_front()
        });
        let mut received = [next(), next()];
        received.sort_unstable();
        assert_eq!((received, channel.lock().closed), ([None, Some(7)], false));

        let (channel, mut next) = wake_both(|channel, _| channel.recv());
        assert_eq!(next(), Some(7));
        // The other receiver waits again.
        channel.until(|state| state.waits == 3);
        channel.send(8).expect("an open channel");
        assert_eq!(next(), Some(8));
    }
}
