//! An `async fn` is called, but nothing happens: no line is sent, and there is no error.
//!
//! A call of an `async fn` only creates a future. Its body begins at the first poll, which comes
//! from `.await` or, after `spawn`, from the runtime. `let _ =` hides the compiler's warning, and
//! so does storing the future.
//!
//! Avoided in: `step4-tokio/src/session.rs`, `write`

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Sends the last line, then drops the stream, so the client gets EOF.
async fn close(mut stream: DuplexStream) {
    stream.write_all(b"* goodbye\n").await.expect("there is space");
}

/// Returns what the client receives until EOF.
#[tokio::main(flavor = "current_thread")]
#[expect(clippy::let_underscore_future, reason = "this is the mistake")]
async fn mistake() -> String {
    let (mut client, server) = duplex(64);
    let mut received = String::new();
    let _ = close(server);
    client.read_to_string(&mut received).await.expect("text");
    received
}

/// Returns what the client receives until EOF.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> String {
    let (mut client, server) = duplex(64);
    let mut received = String::new();
    close(server).await;
    client.read_to_string(&mut received).await.expect("text");
    received
}

fn main() {
    println!("mistake: the client received {:?}: `let _ = close(server);`", mistake());
    println!("fix:     the client received {:?}: `close(server).await;`", fix());
    println!("why:     a future does nothing until it is polled: `.await` it, or spawn it");
}

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    assert_eq!(mistake(), "");
    assert_eq!(fix(), "* goodbye\n");
}
