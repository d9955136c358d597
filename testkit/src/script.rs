use std::collections::BTreeMap;

use crate::{Chat, Peer};

/// One step of a script. The number is the client. A client that has left does nothing.
#[derive(Debug, Clone)]
pub enum Act {
    /// A new client joins.
    Join,
    /// A client sends a line.
    Send(usize, String),
    /// A client sends an unknown command.
    Command(usize, String),
    /// A client sends several lines in one write.
    Burst(usize, Vec<String>),
    /// A client sends `/exit`.
    Exit(usize),
    /// A client sends a partial line and closes its sending direction.
    HalfClose(usize, String),
    /// A client resets its connection.
    Reset(usize),
    /// The operator types a line.
    Operator(String),
}

/// Plays a script on a server of its own, and waits after each act until it has been handled.
///
/// Returns the lines that each client received: first the witness, which only reads, then the
/// clients of the script, and last the operator.
pub fn play(chat: &Chat, script: &[Act]) -> Vec<Vec<String>> {
    let mut server = chat.server();
    let mut witness = server.peer();
    let mut clients = BTreeMap::<usize, Peer>::new();
    let mut received = vec![Vec::new()];
    for act in script {
        match act {
            Act::Join => {
                clients.insert(received.len(), server.peer());
                received.push(Vec::new());
            }
            Act::Send(client, text) | Act::Command(client, text) => {
                if let Some(peer) = clients.get_mut(client) {
                    peer.send_line(text);
                }
            }
            Act::Burst(client, texts) => {
                if let Some(peer) = clients.get_mut(client) {
                    peer.send_line(&texts.join("\r\n"));
                }
            }
            Act::Exit(client) => {
                if let Some(mut peer) = clients.remove(client) {
                    peer.send_line("/exit");
                    received[*client].extend(peer.lines.rest());
                }
            }
            Act::HalfClose(client, text) => {
                if let Some(mut peer) = clients.remove(client) {
                    peer.send(text);
                    peer.half_close();
                    received[*client].extend(peer.lines.rest());
                }
            }
            Act::Reset(client) => {
                if let Some(peer) = clients.remove(client) {
                    let left = format!("* {} left", peer.name);
                    peer.reset();
                    let (before, left) = witness.lines.until(&left, |line| line == left);
                    received[0].extend(before);
                    received[0].push(left);
                }
            }
            Act::Operator(text) => {
                server.process.type_line(text);
                let line = format!("server: {text}");
                let (before, line) = witness.lines.until(&line, |next| next == line);
                received[0].extend(before);
                received[0].push(line);
            }
        }
        // After the first round the server has handled the act, after the second every client has
        // received its effects.
        for _ in 0..2 {
            received[0].extend(witness.sync());
            for (client, peer) in &mut clients {
                received[*client].extend(peer.sync());
            }
        }
    }
    server.process.type_line("/exit");
    for (client, mut peer) in clients {
        received[client].extend(peer.lines.rest());
    }
    received[0].extend(witness.lines.rest());
    // The server waits until the clients have closed their sockets.
    drop(witness);
    received.push(server.process.stdout.rest());
    assert_eq!(server.process.exit(), 0);
    received
}
