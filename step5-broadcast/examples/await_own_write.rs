//! Two clients that send a lot before they read block each other, and both sessions hang.
//!
//! A `select!` branch awaits `write_all` in its body, and meanwhile the session does not read. Its
//! client waits, too: it reads when all is sent. Poll both halves of a connection at the same time.
//!
//! Avoided in: `step5-broadcast/src/session.rs`, `serve`

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{error::Elapsed, timeout};
use tokio::{join, select};

/// How many bytes a connection buffers. A socket may buffer megabytes before it blocks.
const BUFFER: usize = 4096;
/// How many bytes each client sends before it reads.
const BYTES: usize = 1_000_000;

type Outbox = UnboundedReceiver<Vec<u8>>;
type PeerOutbox = UnboundedSender<Vec<u8>>;

async fn mistake(mut stream: DuplexStream, mut outbox: Outbox, peer: PeerOutbox) {
    let mut buf = [0; 1024];
    loop {
        select! {
            n = stream.read(&mut buf) => peer.send(buf[..n.unwrap()].into()).unwrap(),
            // Reads nothing until the client has taken these bytes.
            Some(bytes) = outbox.recv() => stream.write_all(&bytes).await.unwrap(),
        }
    }
}

async fn fix(stream: DuplexStream, mut outbox: Outbox, peer: PeerOutbox) {
    let (mut input, mut output) = split(stream);
    let read = async {
        let mut buf = [0; 1024];
        while let Ok(n @ 1..) = input.read(&mut buf).await {
            // Unbounded, to keep the example short. In step 5, a client that reads too little misses lines.
            peer.send(buf[..n].into()).unwrap();
        }
    };
    let write = async {
        while let Some(bytes) = outbox.recv().await {
            output.write_all(&bytes).await.unwrap();
        }
    };
    join!(read, write);
}

/// Two clients that stay connected, each with a session that passes its bytes on to the other.
async fn chat(session: impl AsyncFn(DuplexStream, Outbox, PeerOutbox)) -> Result<(), Elapsed> {
    let [(mut ann, to_ann), (mut bob, to_bob)] = [duplex(BUFFER), duplex(BUFFER)];
    let [(anns, anns_outbox), (bobs, bobs_outbox)] = [unbounded_channel(), unbounded_channel()];
    let clients = async { join!(send_then_read(&mut ann), send_then_read(&mut bob)) };
    select! {
        result = timeout(Duration::from_secs(20), clients) => result.map(drop),
        () = session(to_ann, anns_outbox, bobs) => unreachable!(),
        () = session(to_bob, bobs_outbox, anns) => unreachable!(),
    }
}

async fn send_then_read(client: &mut DuplexStream) {
    client.write_all(&vec![0; BYTES]).await.unwrap();
    client.read_exact(&mut vec![0; BYTES]).await.unwrap();
}

// Time is paused: the clock moves only when every task waits. So a timeout proves a deadlock.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("mistake: clients and sessions all wait in `write_all` ({:?})", chat(mistake).await);
    println!("fix:     every client has received all ({:?})", chat(fix).await);
    println!("why:     a `select!` polls no other branch while it runs the body of one");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_reads_while_it_writes_does_not_deadlock() {
    assert!(chat(mistake).await.is_err());
    assert!(chat(fix).await.is_ok());
}
