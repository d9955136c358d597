//! The first half of a line is lost when `read_line` is a branch of `select!`.
//!
//! A line may arrive in two pieces. `read_line` moves the first piece into its future, and
//! `select!` drops that future when another branch wins. `Lines::next_line` keeps the piece, but
//! its lines have no maximum length.
//!
//! Avoided in: `step4-tokio/src/session.rs`, `read`

use common::{LineDecoder, MAX_TEXT};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, duplex};
use tokio::select;
use tokio::sync::mpsc::channel;

/// The two pieces in which the peer sends its line.
const PIECES: [&[u8]; 2] = [b"never ", b"mind\n"];

/// Returns the line that a `read_line` in a `select!` receives.
#[tokio::main(flavor = "current_thread")]
async fn mistake() -> String {
    let (mut peer, stream) = duplex(64);
    let (events, mut inbox) = channel(1);
    peer.write_all(PIECES[0]).await.expect("there is space");
    events.send("another branch wins").await.expect("there is space");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        select! {
            // The order of the branches is random otherwise, and so is the loss.
            biased;
            read = stream.read_line(&mut line) => {
                read.expect("the peer is alive");
                return line;
            }
            Some(_) = inbox.recv() => peer.write_all(PIECES[1]).await.expect("there is space"),
        }
    }
}

/// Returns the line that a `read` in a `select!` receives. A cancelled `read` has read nothing, and
/// the decoder outlives it.
#[tokio::main(flavor = "current_thread")]
async fn fix() -> String {
    let (mut peer, mut stream) = duplex(64);
    let (events, mut inbox) = channel(1);
    peer.write_all(PIECES[0]).await.expect("there is space");
    events.send("another branch wins").await.expect("there is space");
    let mut decoder = LineDecoder::new(MAX_TEXT);
    let mut buf = [0; 64];
    loop {
        select! {
            biased;
            n = stream.read(&mut buf) => {
                let n = n.expect("the peer is alive");
                if let Some(line) = decoder.feed(&buf[..n]).next() {
                    return line.expect("a short line");
                }
            }
            Some(_) = inbox.recv() => peer.write_all(PIECES[1]).await.expect("there is space"),
        }
    }
}

fn main() {
    println!("mistake: `never mind` was sent, `{}` was received", mistake().trim_end());
    println!("fix:     `never mind` was sent, `{}` was received", fix());
    println!("why:     `read_line` holds a half line in its future, which `select!` drops;");
    println!("         a `LineDecoder` beside the `select!` keeps it");
}

#[test]
fn a_cancelled_read_line_loses_half_a_line() {
    assert_eq!(mistake(), "mind\n");
    assert_eq!(fix(), "never mind");
}
