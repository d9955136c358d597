//! A line is shown before its author has joined, or after its author has left.
//!
//! The other server publishes in the right order: joined, line, left. But presence and lines are two
//! subscriptions, each with a queue of its own. When both queues hold messages, nothing tells which
//! was sent first, and no order of the branches is right. One subscription keeps the order.
//!
//! Avoided in: `step6-cluster/src/envelope.rs`, `ALL_ROOMS`

use tokio::select;
use tokio::sync::mpsc::{Receiver, Sender, channel};

type Message = &'static str;

/// Has space for all messages, so that no `send` waits.
const QUEUE: usize = 8;

/// What the other server publishes, in this order.
async fn publish(presence: Sender<Message>, lines: Sender<Message>) {
    presence.send("* ann@b joined").await.unwrap();
    lines.send("ann@b: hi").await.unwrap();
    presence.send("* ann@b left").await.unwrap();
}

/// Returns the subscriptions to the presence and to the lines. Both have messages to take.
async fn subscribe_twice() -> (Receiver<Message>, Receiver<Message>) {
    let ((presence, presence_queue), (lines, line_queue)) = (channel(QUEUE), channel(QUEUE));
    tokio::spawn(publish(presence, lines)).await.unwrap();
    (presence_queue, line_queue)
}

/// Returns all messages in the order in which a client sees them.
async fn show(mut first: Receiver<Message>, mut second: Receiver<Message>) -> Vec<Message> {
    let mut shown = Vec::new();
    loop {
        select! {
            // Without it, chance decides.
            biased;
            Some(message) = first.recv() => shown.push(message),
            Some(message) = second.recv() => shown.push(message),
            else => return shown,
        }
    }
}

async fn mistake_lines_first() -> Vec<Message> {
    let (presence, lines) = subscribe_twice().await;
    show(lines, presence).await
}

async fn mistake_presence_first() -> Vec<Message> {
    let (presence, lines) = subscribe_twice().await;
    show(presence, lines).await
}

async fn fix() -> Vec<Message> {
    let (subject, mut subscription) = channel(QUEUE);
    tokio::spawn(publish(subject.clone(), subject)).await.unwrap();
    let mut shown = Vec::new();
    while let Some(message) = subscription.recv().await {
        shown.push(message);
    }
    shown
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("mistake: {:?}: lines first", mistake_lines_first().await);
    println!("         {:?}: presence first", mistake_presence_first().await);
    println!("fix:     {:?}: one subscription", fix().await);
    println!("why:     a queue keeps the order of its messages; between two queues there is none");
}

#[tokio::test]
async fn one_subscription_keeps_the_order_of_joins_and_lines() {
    let [joined, line, left] = ["* ann@b joined", "ann@b: hi", "* ann@b left"];
    assert_eq!(mistake_lines_first().await, [line, joined, left]);
    assert_eq!(mistake_presence_first().await, [joined, left, line]);
    assert_eq!(fix().await, [joined, line, left]);
}
