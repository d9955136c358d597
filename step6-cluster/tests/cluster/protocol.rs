//! What nodes send each other: one side is played by hand.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Bus, Machine, Message};

use super::by_hand::{Node, PRESENCE, presence, said};
use super::on_nats;

#[test]
fn a_node_played_by_hand_takes_part() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        node.bus.subscribe("chat.v1.node.z");
        node.present(0, &["zoe"]);
        ann.lines.expect("* zoe@z joined");
        node.say(0, &[["said", "zoe", "hi"], ["did", "zoe", "waves"], ["nick", "zoe", "zac"]]);
        for line in ["zoe@z: hi", "** zoe@z waves", "* zoe@z is now zac@z"] {
            ann.lines.expect(line);
        }
        // A rename has no number. The members are what the notices say: there is no join or leave.
        node.present(2, &["zac"]);
        node.say(2, &[["joined", "eve", ""], ["said", "eve", "hi"], ["left", "eve", ""]]);
        for line in ["* eve@z joined", "eve@z: hi", "* eve@z left"] {
            ann.lines.expect(line);
        }
        // Neither a join nor a leave is shown twice.
        node.say(3, &[["joined", "zac", ""], ["left", "eve", ""], ["nick", "eve", "zoe"]]);
        node.publish(
            "chat.v1.node.a",
            &json!({"private": {"from": "zac", "to": "ANN", "text": "psst"}}),
        );
        ann.lines.expect("zac@z (private): psst");
        ann.send_line("/msg zac@z hello");
        ann.lines.expect("* to zac@z: hello");
        let (_, message) = node.bus.until("a private message", |_| true);
        let private = json!({"private": {"from": "ann", "to": "zac", "text": "hello"}});
        assert_eq!(body(&message), private);
        node.publish(
            "chat.v1.node.a",
            &json!({"refused": {"from": "ann", "to": "zac", "full": true}}),
        );
        ann.lines.expect("! zac@z has too many unread messages");
        node.publish(
            "chat.v1.node.a",
            &json!({"refused": {"from": "ann", "to": "zac", "full": false}}),
        );
        ann.lines.expect("! nobody is called zac@z");
        node.publish(
            "chat.v1.node.a",
            &json!({"private": {"from": "zac", "to": "eve", "text": "psst"}}),
        );
        let (_, message) = node.bus.until("a refusal", |_| true);
        assert_eq!(body(&message), json!({"refused": {"from": "zac", "to": "eve", "full": false}}));
        node.present(3, &[]);
        ann.lines.expect("* zac@z left");
        assert_eq!(ann.sync(), [""; 0]);
    });
}

/// The body of an envelope.
fn body(message: &Message) -> Value {
    let mut envelope: Value = serde_json::from_slice(&message.payload).unwrap();
    envelope["body"].take()
}

#[test]
fn gaps_are_counted_exactly() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        // What was said before the node was heard of is not lost.
        node.present(100, &["zoe"]);
        ann.lines.expect("* zoe@z joined");
        node.say(100, &[["said", "zoe", "one"]]);
        ann.lines.expect("zoe@z: one");
        // A gap before lines, and before a presence.
        node.say(105, &[["said", "zoe", "two"], ["said", "zoe", "three"]]);
        for line in ["! missed 4 lines", "zoe@z: two", "zoe@z: three"] {
            ann.lines.expect(line);
        }
        node.present(117, &["zoe"]);
        ann.lines.expect("! missed 10 lines");
        node.say(117, &[["said", "zoe", "four"]]);
        ann.lines.expect("zoe@z: four");
        // A room that was opened again counts from 0. The roster lists the removed one, too.
        let roster = |id, next, members: &[&str]| json!({"room": "lobby", "id": id, "next": next, "members": members});
        let rosters = [roster(0, 120, &[]), roster(7, 3, &["zoe"])];
        node.publish(PRESENCE, &json!({"presence": {"rooms": rosters}}));
        for line in ["! missed 2 lines", "* zoe@z left", "! missed 3 lines", "* zoe@z joined"] {
            ann.lines.expect(line);
        }
        node.publish(PRESENCE, &presence("lobby", 7, 4, &["zoe"]));
        ann.lines.expect("! missed 1 lines");
        // A restarted node counts anew, from a number that is not known.
        (node.epoch, node.seq) = (2000, 0);
        node.publish(PRESENCE, &presence("lobby", 7, 50, &["zoe"]));
        let mut lines = json!({"lines": {"room": "lobby", "id": 7, "first": 52}});
        lines["lines"]["lines"] = json!([["said", "zoe", "five"]]);
        node.publish("chat.v1.room.lobby", &lines);
        ann.lines.expect("! missed 2 lines");
        ann.lines.expect("zoe@z: five");
        assert_eq!(ann.sync(), [""; 0]);
    });
}

#[test]
fn a_leave_comes_before_the_join_of_the_same_name() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        node.publish(PRESENCE, &presence("lobby", 7, 0, &["zoe"]));
        ann.lines.expect("* zoe@z joined");
        // The room was removed and opened again, or the node has restarted; its news were lost.
        for epoch in [1000, 2000] {
            node.epoch = epoch;
            node.publish(PRESENCE, &presence("lobby", epoch, 0, &["zoe"]));
            ann.lines.expect("* zoe@z left");
            ann.lines.expect("* zoe@z joined");
        }
        assert_eq!(ann.who(), ["server", "ann", "zoe@z"]);
    });
}

#[test]
fn old_and_repeated_envelopes_are_ignored() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::joined(cluster, &mut ann, &["zoe"]);
        node.say(0, &[["said", "zoe", "one"]]);
        ann.lines.expect("zoe@z: one");
        // The same number again, an older one, and an older epoch.
        for (epoch, seq) in [(1000, 1), (1000, 0), (999, 9)] {
            (node.epoch, node.seq) = (epoch, seq);
            node.say(0, &[["said", "zoe", "old"]]);
            (node.epoch, node.seq) = (epoch, seq);
            node.present(9, &["eve"]);
        }
        (node.epoch, node.seq) = (1000, 5);
        node.say(1, &[["said", "zoe", "two"]]);
        ann.lines.expect("zoe@z: two");
        assert_eq!(ann.sync(), [""; 0]);
    });
}

#[test]
fn an_old_line_of_a_node_that_is_gone_is_ignored() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::joined(cluster, &mut ann, &["zoe"]);
        node.say(0, &[["said", "zoe", "one"]]);
        node.say(1, &[["said", "zoe", "two"]]);
        // After 6 s of silence.
        for line in ["zoe@z: one", "zoe@z: two", "* zoe@z left"] {
            ann.lines.expect(line);
        }
        node.seq = 1;
        node.say(0, &[["said", "zoe", "one"]]);
        node.seq = 3;
        node.say(2, &[["said", "zoe", "three"]]);
        ann.lines.expect("zoe@z: three");
        assert_eq!(ann.sync(), [""; 0]);
    });
}

#[test]
fn a_rename_to_the_name_of_a_member_whose_leave_was_lost_is_shown() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::joined(cluster, &mut ann, &["eve", "zoe"]);
        // The envelope with eve's leave is lost.
        node.seq += 1;
        node.say(0, &[["nick", "zoe", "eve"], ["said", "eve", "hi"]]);
        ann.lines.expect("* zoe@z is now eve@z");
        ann.lines.expect("eve@z: hi");
        assert_eq!(ann.who(), ["server", "ann", "eve@z"]);
    });
}

#[test]
fn the_last_roster_of_a_node_has_the_numbers_of_its_lines() {
    on_nats(Machine::Shared, 1, |cluster| {
        let mut ann = cluster.peer(0).named("ann");
        let mut spy = Bus::connect(cluster.relay().addr());
        spy.subscribe(PRESENCE);
        ann.send_line("one");
        ann.sync();
        cluster.process(0).type_line("/exit");
        // Some of the lines may be lost, and no later roster says so.
        let (_, last) = spy.until("a roster without members", |message| {
            let rooms = body(message)["presence"]["rooms"].take();
            rooms.as_array().unwrap().iter().all(|room| room["members"] == json!([]))
        });
        assert_eq!(body(&last)["presence"]["rooms"][0]["next"], 1);
    });
}

#[test]
fn a_restarted_node_replaces_its_members() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        node.present(0, &["zoe", "eve"]);
        ann.lines.expect("* eve@z, zoe@z joined");
        (node.epoch, node.seq) = (2000, 0);
        node.present(0, &["eve", "zac"]);
        ann.lines.expect("* zoe@z left");
        ann.lines.expect("* zac@z joined");
        assert_eq!(ann.who(), ["server", "ann", "eve@z", "zac@z"]);
    });
}

#[test]
fn a_room_that_was_removed_is_not_counted_twice() {
    on_nats(Machine::Shared, 1, |cluster| {
        let mut ann = cluster.peer(0).named("ann");
        let mut node = Node::new(cluster, "z");
        let roster = |id, next, members: &[&str]| json!({"room": "lobby", "id": id, "next": next, "members": members});
        node.publish(PRESENCE, &json!({"presence": {"rooms": [roster(7, 0, &["zoe"])]}}));
        ann.lines.expect("* zoe@z joined");
        // All members leave, so the room is removed. It opens again under another id.
        let subject = "chat.v1.room.lobby";
        node.publish(subject, &said("lobby", 7, 0, &[["said", "zoe", "one"], ["left", "zoe", ""]]));
        node.publish(
            subject,
            &said("lobby", 8, 0, &[["joined", "zoe", ""], ["said", "zoe", "two"]]),
        );
        for line in ["zoe@z: one", "* zoe@z left", "* zoe@z joined", "zoe@z: two"] {
            ann.lines.expect(line);
        }
        // The next roster lists the removed room, too: lines may have been lost with it.
        let rosters = [roster(7, 1, &[]), roster(8, 3, &["zoe"])];
        node.publish(PRESENCE, &json!({"presence": {"rooms": rosters}}));
        ann.lines.expect("! missed 2 lines");
        assert_eq!(ann.sync(), [""; 0]);
    });
}

/// The messages until the next presence of all members, which comes every 2 s.
fn until_presence(spy: &Bus) -> Vec<Message> {
    spy.until("a presence", |message| message.subject == PRESENCE).0
}

#[test]
fn a_batch_is_one_message() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        let mut spy = Bus::connect(cluster.relay().addr());
        spy.subscribe(">");
        until_presence(&spy);
        ann.send_line("one line");
        bob.lines.expect("ann: one line");
        let lines = until_presence(&spy);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].subject, "chat.v1.room.lobby");
        let envelope: Value = serde_json::from_slice(&lines[0].payload).unwrap();
        assert_eq!((&envelope["version"], &envelope["node"]), (&json!(1), &json!("a")));
        assert_eq!(envelope["body"]["lines"]["lines"], json!([["said", "ann", "one line"]]));
        // A thousand lines in one write are a few batches.
        ann.send("x\n".repeat(1000));
        (0..1000).for_each(|_| bob.lines.expect("ann: x"));
        let lines = until_presence(&spy);
        let counts =
            lines.iter().map(|line| body(line)["lines"]["lines"].as_array().unwrap().len());
        assert_eq!(counts.sum::<usize>(), 1000);
        assert!(lines.len() < 100, "{} messages", lines.len());
    });
}

#[test]
fn nothing_is_published_that_others_need_not_know() {
    on_nats(Machine::Shared, 2, |cluster| {
        let mut spy = Bus::connect(cluster.relay().addr());
        spy.subscribe(">");
        let [mut ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
        ann.send("/msg bob@b secret-one\n/msg amy secret-two\n/who\n/rooms\n/help\n/nope\n/JOIN\n");
        bob.lines.expect("ann@a (private): secret-one");
        amy.lines.expect("ann (private): secret-two");
        ann.send("/join Rust\n/join lobby\n");
        bob.lines.until("a join", |line| line == "* ann@a joined");
        ann.send_line("the end");
        bob.lines.expect("ann@a: the end");
        let (messages, _) = spy.until("the last line", |message| {
            String::from_utf8_lossy(&message.payload).contains("the end")
        });
        for Message { subject, payload } in &messages {
            let text = String::from_utf8_lossy(payload);
            let known = ["chat.v1.room.lobby", "chat.v1.room.rust", PRESENCE, "chat.v1.node.b"];
            assert!(known.contains(&subject.as_str()), "{subject}: {text}");
            assert_eq!(
                text.contains("secret-one"),
                subject == "chat.v1.node.b",
                "{subject}: {text}"
            );
            assert!(!text.contains("secret-two"), "{subject}: {text}");
        }
        assert!(spy.next_within(Duration::ZERO).is_none_or(|message| message.subject == PRESENCE));
    });
}
