//! Local clients receive nothing from each other while the connection to another server stalls.
//!
//! The hub awaits each write to the relay. When the relay reads nothing, its connection fills up, and
//! the hub handles no more events. Give the relay a task and a bounded queue. The hub calls
//! `try_send`: if the queue is full, the members get a notice, and the chat goes on.
//!
//! Avoided in: `step6-cluster/src/nodes.rs`, `Cluster::send`

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, channel, unbounded_channel};
use tokio::{join, task::yield_now, time::timeout};

/// How many bytes the connection to the relay buffers. A socket buffers more, but not all.
const BUFFER: usize = 4096;
const QUEUE: usize = 64;
const LINES: usize = 1000;
const LINE: &str = "ann: hi\n";

type Outbox = UnboundedSender<&'static str>;

async fn mistake(outbox: Outbox, mut relay: DuplexStream) {
    for _ in 0..LINES {
        outbox.send(LINE).unwrap();
        // Waits here for the relay.
        relay.write_all(LINE.as_bytes()).await.unwrap();
    }
}

async fn fix(outbox: Outbox, mut relay: DuplexStream) {
    let (queue, mut lines) = channel::<&str>(QUEUE);
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            relay.write_all(line.as_bytes()).await.unwrap();
        }
    });
    let mut lost = false;
    for _ in 0..LINES {
        outbox.send(LINE).unwrap();
        if !lost && queue.try_send(LINE).is_err() {
            lost = true;
            outbox.send("* relay lost\n").unwrap();
        }
        // Stands for the wait for the next event: the relay's task gets its turn.
        yield_now().await;
    }
}

/// Runs a hub whose relay stalls until a local client has received nothing for a minute. Returns how
/// many messages the client has received by then, and how many when the relay has read everything.
async fn chat(hub: impl AsyncFnOnce(Outbox, DuplexStream)) -> [usize; 2] {
    let (connection, mut relay) = duplex(BUFFER);
    let (outbox, mut inbox) = unbounded_channel();
    let client = async {
        let mut received = 0;
        while let Ok(Some(_)) = timeout(Duration::from_secs(60), inbox.recv()).await {
            received += 1;
        }
        relay.read_to_end(&mut Vec::new()).await.unwrap();
        [received, received + inbox.len()]
    };
    join!(hub(outbox, connection), client).1
}

// Time is paused: the clock moves only when every task waits. So a timeout proves that the hub waits.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let ([stalled, all], [served, _]) = (chat(mistake).await, chat(fix).await);
    println!("mistake: the relay stalls: a local client receives {stalled} of {LINES} lines;");
    println!("         it receives all {all} only when the relay reads again");
    println!("fix:     the relay stalls: the client receives {served}: all lines and a notice");
    println!("why:     a hub that waits for a relay serves no client; `try_send` never waits");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_never_awaits_the_relay_serves_its_clients() {
    assert_eq!(chat(mistake).await, [BUFFER / LINE.len() + 1, LINES]);
    assert_eq!(chat(fix).await, [LINES + 1, LINES + 1]);
}
