//! How participants are told, and how they enter and leave rooms.

use common::Line;

use crate::{
    hub::{Hub, Id, Peer},
    mail::{ANSWERS, Course, MAILBOX, MESSAGES, Mail},
    rooms::RoomId,
};

/// A participant, as the hub knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) room: RoomId,
    pub(crate) peer: Peer,
    /// Whether it was let into its room's ring. Until then, what it is answered is kept.
    pub(crate) reads: bool,
    pub(crate) kept: String,
    pub(crate) answered: bool,
    /// How many lines of its own its rooms have heard.
    pub(crate) own: u64,
}

impl Member {
    /// Whether it can be sent a message.
    pub(crate) fn takes_messages(&self) -> bool {
        self.peer.mailbox.capacity() > MAILBOX - MESSAGES && self.kept.len() < ANSWERS
    }
}

impl Hub {
    /// Says a line to the others in somebody's room.
    pub(crate) fn say(
        &mut self,
        id: Id,
        text: &str,
        line: for<'a> fn(&'a str, &'a str) -> Line<'a>,
    ) {
        let Some(mut member) = self.members.get_mut(&id) else {
            return;
        };
        // A join precedes the joiner's first line.
        if self.rooms.get_mut(member.room).notice_due.is_some() {
            let room = member.room;
            self.settle(room);
            let Some(settled) = self.members.get_mut(&id) else {
                return;
            };
            member = settled;
        }
        member.own += 1;
        self.rooms.say(member.room, id, line(&member.name, text));
    }

    /// Lets somebody into a room that is there.
    pub(crate) fn enter(&mut self, id: Id, room: RoomId) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.room = room;
        let name = member.name.clone();
        // Who comes back so soon has left first.
        if self.rooms.get_mut(room).has_just_left(id, &name) {
            self.settle(room);
        }
        self.rooms.enter(room, id, &name);
    }

    /// Takes somebody out of his room, of which he reads everything up to here.
    pub(crate) fn exit(&mut self, id: Id) {
        self.mail(id, String::new(), Course::Leave, false);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.reads = false;
        self.rooms.leave(member.room, id, &member.name);
    }

    pub(crate) fn settle_due(&mut self) {
        for room in self.rooms.due() {
            self.settle(room);
        }
    }

    /// Tells who joined and left a room, and lets those in who joined.
    pub(crate) fn settle(&mut self, room: RoomId) {
        for id in self.rooms.settle(room) {
            let welcome = self.rooms.get_mut(room).welcome();
            self.admit(id, welcome);
        }
    }

    /// Lets somebody read his room from here on.
    pub(crate) fn admit(&mut self, id: Id, welcome: String) {
        if let Some(member) = self.members.get(&id) {
            let entry = self.rooms.get_mut(member.room).entry();
            self.mail(id, welcome, Course::Enter(entry), false);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.reads = true;
        }
    }

    /// Adds a line to what is answered to the one who is heard.
    pub(crate) fn answer(&mut self, line: Line<'_>) {
        let line = format!("{line}\n");
        self.answered += line.len();
        self.answer += &line;
    }

    /// Sends somebody what is for him alone. Who is about to enter a room reads its welcome first.
    pub(crate) fn mail(&mut self, id: Id, text: String, course: Course, answers: bool) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let mut kept = std::mem::take(&mut member.kept);
        if self.asking == Some(id) {
            kept += &std::mem::take(&mut self.answer);
        }
        let answers = answers || std::mem::take(&mut member.answered);
        match course {
            Course::Stay if !member.reads => {
                member.kept = kept + &text;
                member.answered = answers;
            }
            Course::Enter(_) => self.post(id, text + &kept, course, answers),
            _ => self.post(id, kept + &text, course, answers),
        }
    }

    /// A mailbox has room for all that one read may cause, and nothing more is heard before that
    /// is answered.
    pub(crate) fn post(&mut self, id: Id, text: String, course: Course, answers: bool) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let mail = Mail {
            after: match member.reads {
                true => self.rooms.get_mut(member.room).next(),
                false => 0,
            },
            own: member.own,
            text,
            course,
            answers,
        };
        // Fails for somebody who is gone, whose `Left` is on the way.
        let _ = member.peer.mailbox.try_send(Box::new(mail));
    }
}
