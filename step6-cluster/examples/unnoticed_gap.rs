//! Lines from another server are missing in the middle of the chat, and no notice says so.
//!
//! The relay is a `broadcast` ring, and the receiver skips `Lagged`: it counts envelopes of all rooms.
//! Let the server number the lines of each room, and compare the numbers. No line follows the last
//! one, so the server publishes the number of its next line, too: in its roster, every two seconds.
//!
//! Avoided in: `step6-cluster/src/nodes.rs`, `RemoteRoom::advance`

use std::ops::Range;

use tokio::sync::broadcast::{Receiver, channel, error::RecvError};

/// A room and the numbers of its lines in this envelope. A roster has no lines: its range is empty,
/// and starts at the number of the next line.
type Envelope = (&'static str, Range<usize>);

/// Subscribes to a server that publishes 11 lines of the lobby in three bursts, then a roster.
fn subscribe() -> Receiver<Envelope> {
    let (ring, relay) = channel(2);
    let rust = |line| ("rust", line..line + 1);
    let bursts = [
        vec![("lobby", 0..2)],
        // The ring overwrites two envelopes: the lines from 2 to 4 are lost.
        vec![("lobby", 2..5), rust(0), ("lobby", 5..9), rust(1)],
        // It overwrites one: the lines 9 and 10 are lost, the last of the lobby.
        vec![("lobby", 9..11), rust(2), rust(3)],
        vec![("lobby", 11..11)],
    ];
    tokio::spawn(async move {
        for burst in bursts {
            // No `.await` in here, so the receiver lags by the whole burst.
            burst.into_iter().for_each(|envelope| drop(ring.send(envelope)));
            while !ring.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    });
    relay
}

/// Returns how many lines of the lobby were received, and how many envelopes were skipped.
async fn mistake() -> (usize, u64) {
    let (mut relay, mut received, mut skipped) = (subscribe(), 0, 0);
    loop {
        match relay.recv().await {
            Ok((room, lines)) => received += if room == "lobby" { lines.len() } else { 0 },
            Err(RecvError::Lagged(envelopes)) => skipped += envelopes,
            Err(RecvError::Closed) => return (received, skipped),
        }
    }
}

/// Returns how many lines of the lobby were received, and the gaps of which its members are told.
async fn fix() -> (usize, Vec<usize>) {
    let (mut relay, mut received, mut next, mut gaps) = (subscribe(), 0, 0, Vec::new());
    loop {
        match relay.recv().await {
            Ok(("lobby", lines)) => {
                gaps.extend((lines.start > next).then(|| lines.start - next));
                (received, next) = (received + lines.len(), lines.end);
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return (received, gaps),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ((some, skipped), (received, gaps)) = (mistake().await, fix().await);
    println!("mistake: {some} of 11 lines received, and no notice ({skipped} envelopes skipped)");
    println!("fix:     {received} of 11 lines received, and notices of {gaps:?} missed lines");
    println!("why:     only the sender knows how many lines it has sent: it has to number them");
}

#[tokio::test]
async fn numbered_lines_show_each_gap_even_the_last() {
    assert_eq!(mistake().await, (6, 3));
    assert_eq!(fix().await, (6, vec![3, 2]));
}
