use std::collections::BTreeMap;

use crate::{Chat, Peer};

/// What one participant does. Whoever has left does nothing.
#[derive(Debug, Clone)]
pub enum Act {
    /// Somebody new joins.
    Join,
    /// A line, unless it is a command.
    Say(usize, String),
    /// A command that nobody knows.
    Command(usize, String),
    /// Several lines in one write.
    Burst(usize, Vec<String>),
    /// `/exit`.
    Exit(usize),
    /// The end of input, behind half a line.
    HalfClose(usize, String),
    /// The connection breaks.
    Reset(usize),
    /// The operator says something.
    Operator(String),
}

/// Plays a script on a server of its own, each act once the one before has been dealt with, and
/// gives what everyone read, the operator's screen last.
pub fn play(chat: &Chat, script: &[Act]) -> Vec<Vec<String>> {
    let mut server = chat.server();
    let mut witness = server.peer();
    let mut here = BTreeMap::<usize, Peer>::new();
    let mut read = vec![Vec::new()];
    for act in script {
        match act {
            Act::Join => {
                here.insert(read.len(), server.peer());
                read.push(Vec::new());
            }
            Act::Say(who, text) | Act::Command(who, text) => {
                if let Some(peer) = here.get_mut(who) {
                    peer.say(text);
                }
            }
            Act::Burst(who, texts) => {
                if let Some(peer) = here.get_mut(who) {
                    peer.say(&texts.join("\r\n"));
                }
            }
            Act::Exit(who) => {
                if let Some(mut peer) = here.remove(who) {
                    peer.say("/exit");
                    read[*who].extend(peer.lines.rest());
                }
            }
            Act::HalfClose(who, text) => {
                if let Some(mut peer) = here.remove(who) {
                    peer.send(text);
                    peer.half_close();
                    read[*who].extend(peer.lines.rest());
                }
            }
            Act::Reset(who) => {
                if let Some(peer) = here.remove(who) {
                    let left = format!("* {} left", peer.name);
                    peer.reset();
                    let (before, left) = witness.lines.until(&left, |line| line == left);
                    read[0].extend(before);
                    read[0].push(left);
                }
            }
            Act::Operator(text) => {
                server.process.type_line(text);
                let said = format!("server: {text}");
                let (before, said) = witness.lines.until(&said, |line| line == said);
                read[0].extend(before);
                read[0].push(said);
            }
        }
        // In the first round whoever acted has been heard to the end, in the second everybody has
        // read what came of it.
        for _ in 0..2 {
            read[0].extend(witness.sync());
            for (who, peer) in &mut here {
                read[*who].extend(peer.sync());
            }
        }
    }
    server.process.type_line("/exit");
    for (who, mut peer) in here {
        read[who].extend(peer.lines.rest());
    }
    read[0].extend(witness.lines.rest());
    // The server waits for whoever has not closed.
    drop(witness);
    read.push(server.process.stdout.rest());
    assert_eq!(server.process.exit(), 0);
    read
}
