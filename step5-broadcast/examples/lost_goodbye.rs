//! The server ends, and its clients never receive the goodbye that a task was about to write.
//!
//! `spawn` only queues a task. When the future of `block_on` returns, the runtime is dropped, and
//! with it every task that has not finished. Keep the tasks in a `JoinSet`, and wait for them, but
//! not longer than a client may take. Step 5 waits until its event queue closes: every session holds
//! a sender, so that is the end of the last one.
//!
//! Avoided in: `step5-broadcast/src/server.rs`, `run`

use std::io::Read;
use std::net;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the server waits for its sessions.
const DRAIN: Duration = Duration::from_secs(20);

/// Returns everything that the client receives.
fn mistake() -> String {
    chat(async |stream| {
        tokio::spawn(send_goodbye(stream));
    })
}

fn fix() -> String {
    chat(async |stream| {
        let mut sessions = JoinSet::new();
        sessions.spawn(send_goodbye(stream));
        let drained = async { while sessions.join_next().await.is_some() {} };
        // A session that takes longer is aborted.
        let _ = timeout(DRAIN, drained).await;
    })
}

async fn send_goodbye(mut stream: TcpStream) {
    // Fails if the client is gone.
    let _ = stream.write_all(b"* goodbye\n").await;
}

/// Runs `server` with one client, then drops the runtime, as at the end of `main`.
fn chat(server: impl AsyncFnOnce(TcpStream)) -> String {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut client = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        server(stream).await;
        client
    });
    drop(runtime);
    let mut received = String::new();
    client.read_to_string(&mut received).unwrap();
    received
}

fn main() {
    println!("mistake: the client received {:?}: `main` did not wait for the task", mistake());
    println!("fix:     the client received {:?}: `main` waits for all sessions", fix());
    println!("why:     `spawn` only queues a task, and a task ends when its runtime is dropped");
}

#[test]
fn a_server_that_waits_for_its_tasks_sends_the_goodbye() {
    assert_eq!((mistake().as_str(), fix().as_str()), ("", "* goodbye\n"));
}
