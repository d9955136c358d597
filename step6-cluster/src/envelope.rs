//! What nodes send each other, and the checks of what arrives. Any program with access to the relay
//! can publish, so an envelope is input like any other.

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Line, MAX_TEXT, sanitize};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use crate::name;
use crate::nodes::RoomKey;
use crate::room::ROOMS;

/// The version of the format.
const VERSION: u8 = 1;

/// The maximum size of an envelope in bytes. By default, a NATS server takes 1 MiB. A full batch has
/// about 810,000 bytes at most: 128 KiB of lines and one more line, and in JSON a control character
/// has 6 bytes. With thousands of joins on top it may be too large. Then it is lost, as any other.
pub(crate) const MAX_ENVELOPE: usize = 1_000_000;

/// The maximum number of clients of a node. All of them fit into one envelope: with 23 bytes for
/// each name, and 90 for each of 2,000 rooms, it has 640,000 bytes.
pub const MAX_CLIENTS: u16 = 20_000;

/// The maximum number of members of a node: the clients and the operator.
pub(crate) const MEMBERS: usize = MAX_CLIENTS as usize + 1;

/// The maximum number of rooms in a roster: the open ones, and as many that were removed.
pub(crate) const LISTED: usize = 2 * ROOMS;

/// The subject of the rosters. It matches [`ALL_ROOMS`], so that one subscription receives rosters
/// and lines in their order. No room has this name: `@` is in no name.
pub(crate) const PRESENCE: &str = "chat.v1.room.@presence";

/// Matches the lines of all rooms, and the presence.
pub(crate) const ALL_ROOMS: &str = "chat.v1.room.*";

/// The subject of the lines of a room. Subjects are case-sensitive, names are not.
pub(crate) fn room_subject(room: &str) -> String {
    format!("chat.v1.room.{}", name::key(room))
}

/// The subject of the private messages to a node.
pub(crate) fn node_subject(node: &str) -> String {
    format!("chat.v1.node.{}", name::key(node))
}

/// The interval of the hub's ticks.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// An envelope for the relay.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) envelope: Envelope,
    /// Its share of the bytes that may wait for the relay.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// News from the relay, for the hub.
#[derive(Debug)]
pub enum Incoming {
    /// Another node has published this.
    Envelope(Envelope),
    /// Whether the relay is connected now.
    Connected(bool),
    /// Another 250 ms have passed, and whether the relay is connected now. After a flood, the NATS
    /// library may drop the event that the connection has ended.
    Tick(bool),
}

/// A message from one node to the others.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    version: u8,
    /// The name of the node that sends this.
    pub(crate) node: String,
    /// When the node started, in microseconds since 1970. A new epoch is a restart.
    pub(crate) epoch: u64,
    /// Numbers the envelopes of an epoch. Those with private messages may arrive in any order.
    pub(crate) seq: u64,
    pub(crate) body: Body,
}

/// The content of an envelope.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    /// What happened in a room. The node numbers what its members say there from 0 on; `first` is
    /// the number of the first line that is said here. `id` tells two rooms of one name apart: a
    /// room is removed when it is empty.
    Lines { room: String, id: u64, first: u64, lines: Vec<RoomLine> },
    /// The roster: all rooms of the node, with their members.
    Presence { rooms: Vec<RosterRoom> },
    /// A private message.
    Private { from: String, to: String, text: String },
    /// The private message of `from` to `to` was not delivered. `full`: too much is unread;
    /// otherwise no member has this name.
    Refused { from: String, to: String, full: bool },
}

/// One room of a roster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RosterRoom {
    pub(crate) room: String,
    /// As in [`Body::Lines`].
    pub(crate) id: u64,
    /// The number of the next line. So a gap is noticed even if no line follows it.
    pub(crate) next: u64,
    pub(crate) members: Vec<String>,
}

impl RosterRoom {
    /// Tells the rooms of a node apart.
    pub(crate) fn key(&self) -> RoomKey {
        (name::key(&self.room), self.id)
    }
}

/// What happened, the member, and the text or the member's new name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoomLine(pub(crate) Kind, pub(crate) String, pub(crate) String);

/// What happened in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The member said the text.
    Said,
    /// The member did it: `/me`.
    Did,
    /// The member has a new name.
    Nick,
    /// The member entered the room.
    Joined,
    /// The member left the room.
    Left,
}

impl Envelope {
    /// An envelope of this version.
    pub(crate) fn new(node: &str, epoch: u64, seq: u64, body: Body) -> Self {
        Self { version: VERSION, node: node.into(), epoch, seq, body }
    }

    /// Encodes it as JSON.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers are JSON")
    }

    /// Decodes and checks what another node has published.
    ///
    /// # Errors
    ///
    /// The reason, for the log.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(format!("{} bytes, more than {MAX_ENVELOPE}", bytes.len()));
        }
        let envelope: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if envelope.version != VERSION {
            return Err(format!("version {}, not {VERSION}", envelope.version));
        }
        name::check(&envelope.node)?;
        envelope.body.check()?;
        Ok(envelope)
    }
}

impl Body {
    /// About how many bytes it has.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Lines { lines, .. } => lines.iter().map(RoomLine::size).sum(),
            Self::Presence { rooms } => {
                rooms.iter().flat_map(|room| &room.members).map(String::len).sum()
            }
            Self::Private { text, .. } => text.len(),
            Self::Refused { .. } => 0,
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Lines { room, first, lines, .. } => {
                name::check(room)?;
                lines.iter().try_for_each(RoomLine::check)?;
                first.checked_add(lines.len() as u64).map(drop).ok_or("too many lines".into())
            }
            Self::Presence { rooms } => {
                let members: usize = rooms.iter().map(|room| room.members.len()).sum();
                let distinct: BTreeSet<_> = rooms.iter().map(RosterRoom::key).collect();
                if distinct.len() < rooms.len() {
                    return Err("a room that is listed twice".into());
                }
                if rooms.len() > LISTED || members > MEMBERS {
                    return Err("more rooms or members than a node can have".into());
                }
                rooms.iter().try_for_each(|room| {
                    name::check(&room.room)?;
                    room.members.iter().try_for_each(|member| name::check(member))
                })
            }
            Self::Private { from, to, text } => {
                name::check(from)?;
                name::check(to)?;
                check_text(text)
            }
            Self::Refused { from, to, .. } => name::check(from).and_then(|()| name::check(to)),
        }
    }
}

impl RoomLine {
    /// A line that a member has said, as other nodes receive it.
    pub(crate) fn said(line: Line<'_>) -> Option<Self> {
        match line {
            Line::Said { name, text } => Some(Self(Kind::Said, name.into(), text.into())),
            Line::Action { name, text } => Some(Self(Kind::Did, name.into(), text.into())),
            Line::Notice(_) | Line::Error(_) | Line::Private { .. } => None,
        }
    }

    /// Its size as a room shows it: `NAME: TEXT` and its end, before control characters are replaced.
    /// Other lines are a little longer.
    pub(crate) fn size(&self) -> usize {
        let Self(_, name, text) = self;
        name.len() + text.len() + ": \n".len()
    }

    /// Whether the line has a number. A line without one may be lost: the next roster repairs that.
    pub(crate) fn is_numbered(&self) -> bool {
        matches!(self.0, Kind::Said | Kind::Did)
    }

    fn check(&self) -> Result<(), String> {
        let Self(kind, name, text) = self;
        name::check(name)?;
        match kind {
            Kind::Said | Kind::Did => check_text(text),
            Kind::Nick => name::check(text),
            Kind::Joined | Kind::Left if text.is_empty() => Ok(()),
            Kind::Joined | Kind::Left => Err("a join or leave with a text".into()),
        }
    }
}

/// How many of the lines have a number.
pub(crate) fn numbered(lines: &[RoomLine]) -> u64 {
    lines.iter().filter(|line| line.is_numbered()).count() as u64
}

/// Checks the length only: `Line` replaces control characters when it is rendered.
fn check_text(text: &str) -> Result<(), String> {
    // Of the bytes that a client sends, each may become a character of three bytes.
    const LIMIT: usize = 3 * MAX_TEXT;
    if text.len() > MAX_TEXT && sanitize(text).len() > LIMIT {
        return Err(format!("a text of {} bytes, more than {LIMIT} when shown", text.len()));
    }
    Ok(())
}
