//! The executor: a run queue, wakers and a timer. Then two futures: a sleep and a channel's `recv`.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A future of any type. `Box::pin` puts it on the heap and returns nothing that could move it from
/// there. So the future is pinned, without `unsafe`.
type Task = Pin<Box<dyn Future<Output = String>>>;

thread_local! {
    /// The log of polls, wake-ups and pauses, in order.
    static LOG: RefCell<Vec<String>> = RefCell::default();
    /// The timer: the tasks that sleep, by the time at which to wake them.
    static TIMER: RefCell<BTreeMap<Instant, Vec<Waker>>> = RefCell::default();
}

fn log(line: String) {
    LOG.with_borrow_mut(|log| log.push(line));
}

/// The content of a `Waker`: a task's name, and the run queue to put it into.
///
/// Any thread may call a waker, so this has to be `Send` and `Sync`. Therefore the run queue is a
/// channel, although our tasks share one thread.
struct TaskWaker {
    name: &'static str,
    queue: Sender<&'static str>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        log(format!("wake {}", self.name));
        // Fails if the executor has ended.
        let _ = self.queue.send(self.name);
    }
}

/// Runs all tasks to their ends, and returns the log.
pub(crate) fn run<const N: usize>(tasks: [(&'static str, Task); N]) -> Vec<String> {
    let mut tasks = BTreeMap::from(tasks);
    let (queue, run_queue) = channel();
    let waker = |name| Waker::from(Arc::new(TaskWaker { name, queue: queue.clone() }));
    // Nothing has a future's waker before its first poll. So wake every task once.
    tasks.keys().for_each(|name| waker(name).wake());
    while !tasks.is_empty() {
        let name = next(&run_queue);
        // A task may be woken too often, even after its end.
        let Some(task) = tasks.get_mut(name) else { continue };
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker(name)));
        log(format!("poll {name}: {poll:?}"));
        if poll.is_ready() {
            tasks.remove(name);
        }
    }
    LOG.take()
}

/// Takes a task from the run queue. While the queue is empty, all tasks wait, so the thread parks:
/// it sleeps until the first deadline, or until another thread wakes a task. Tokio parks in
/// `epoll_wait`, so a socket can wake it, too.
fn next(run_queue: &Receiver<&'static str>) -> &'static str {
    loop {
        if let Ok(name) = run_queue.try_recv() {
            return name;
        }
        log("park".into());
        let first = TIMER.with_borrow(|timer| timer.keys().next().copied());
        let wait = first.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if let Ok(name) = run_queue.recv_timeout(wait) {
            return name;
        }
        let expired = TIMER.with_borrow_mut(BTreeMap::pop_first);
        expired.into_iter().flat_map(|(_, wakers)| wakers).for_each(Waker::wake);
    }
}

/// A future that is ready some time after its first poll.
pub(crate) struct Sleep {
    time: Duration,
    deadline: Option<Instant>,
}

pub(crate) fn sleep(time: Duration) -> Sleep {
    Sleep { time, deadline: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (this, now) = (self.get_mut(), Instant::now());
        let deadline = *this.deadline.get_or_insert(now + this.time);
        if deadline <= now {
            return Poll::Ready(());
        }
        // Without this line, nothing polls the task again: it hangs.
        TIMER.with_borrow_mut(|t| t.entry(deadline).or_default().push(context.waker().clone()));
        Poll::Pending
    }
}

/// A channel: lines, and the wakers of the tasks that wait for one.
#[derive(Clone, Default)]
pub(crate) struct Channel(Rc<RefCell<(VecDeque<String>, Vec<Waker>)>>);

impl Channel {
    pub(crate) fn send(&self, line: &str) {
        let (lines, waiting) = &mut *self.0.borrow_mut();
        lines.push_back(line.into());
        waiting.drain(..).for_each(Waker::wake);
    }

    pub(crate) fn recv(&self) -> Recv {
        Recv(self.clone())
    }
}

/// A future that is ready when its channel has a line.
pub(crate) struct Recv(Channel);

impl Future for Recv {
    type Output = String;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<String> {
        let (lines, waiting) = &mut *self.0.0.borrow_mut();
        if let Some(line) = lines.pop_front() {
            return Poll::Ready(line);
        }
        waiting.push(context.waker().clone());
        Poll::Pending
    }
}
