//! What travels to clients, and which of them receive it.

use std::collections::VecDeque;
use std::sync::Arc;

use common::Line;
use tokio::sync::mpsc::Sender;

/// A unique id of a member, never reused.
pub type Id = u64;

/// The id of the operator, the member at the server's console.
pub const OPERATOR: Id = 0;

/// Whole lines, rendered once and shared by all outboxes.
pub type Batch = Arc<str>;

/// A batch is full when it has this many bytes; its last line may exceed it.
const BATCH: usize = 16 * 1024;

/// The members that receive a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Audience {
    Only(Id),
    AllBut(Id),
}

impl Audience {
    pub(crate) fn includes(self, id: Id) -> bool {
        match self {
            Self::Only(member) => id == member,
            Self::AllBut(author) => id != author,
        }
    }
}

/// A decision of the hub that it has not carried out yet.
#[derive(Debug)]
pub(crate) enum Delivery {
    Join(Id, Sender<Batch>),
    Lines(Audience, String),
    Leave(Id),
}

/// The decisions of the hub, in order.
#[derive(Debug, Default)]
pub(crate) struct Pending(VecDeque<Delivery>);

impl Pending {
    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.0.push_back(delivery);
    }

    /// Appends a line to the last batch, if it has the same audience and is not full.
    pub(crate) fn push_line(&mut self, to: Audience, line: Line<'_>) {
        match self.0.back_mut() {
            Some(Delivery::Lines(last, lines)) if *last == to && lines.len() < BATCH => {
                *lines += &format!("{line}\n");
            }
            _ => self.push(Delivery::Lines(to, format!("{line}\n"))),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        self.0.pop_front()
    }
}
