//! A publisher that breaks the rules. Anybody with access to the relay can publish.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use testkit::{Cluster, Machine, Peer, eventually};

use super::by_hand::{Node, PRESENCE, presence, said};
use super::{expect_little_memory, on_nats};

/// How long a log line may take.
const SOON: Duration = Duration::from_secs(2);

/// Expects that the node still serves, and that nothing but `text` has reached its members.
pub(crate) fn expect_service(ann: &mut Peer, amy: &mut Peer, text: &str) {
    ann.send_line(text);
    amy.lines.expect(&format!("ann: {text}"));
    assert_eq!(ann.sync(), [""; 0]);
}

/// Expects a warning in the log, without the control characters that may have caused it.
pub(crate) fn expect_warning(cluster: &mut Cluster<'_>, reason: &str) {
    let warning = cluster.process(0).stderr.next_within(SOON).flatten();
    assert!(warning.as_ref().is_some_and(|line| line.contains("WARN")), "{reason}: {warning:?}");
}

#[test]
fn control_characters_of_other_nodes_are_replaced() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::joined(cluster, &mut ann, &["zoe"]);
        let texts =
            ["\u{1b}[2Jboo", "a\nann: b\r\n* bob left", "\0\u{7}\u{9b}31m", "\u{202e}abc\u{2028}"];
        for (n, text) in texts.iter().enumerate() {
            node.say(2 * n as u64, &[["said", "zoe", text], ["did", "zoe", text]]);
            let private = json!({"private": {"from": "zoe", "to": "ann", "text": text}});
            // The two subscriptions have no common order.
            for begin in ["zoe@z: ", "** zoe@z "] {
                let line = ann.lines.next().unwrap();
                assert!(line.starts_with(begin), "{line}");
            }
            node.publish("chat.v1.node.a", &private);
            let line = ann.lines.next().unwrap();
            assert!(line.starts_with("zoe@z (private): "), "{line}");
        }
        assert_eq!(ann.sync(), [""; 0]);
    });
}

#[test]
fn no_envelope_can_impersonate_a_local_member() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
        // Our own name, in both cases: it is ignored, with a warning.
        for name in ["a", "A"] {
            let mut node = Node::new(cluster, name);
            node.epoch = u64::MAX;
            node.present(0, &[]);
            expect_warning(cluster, "our own presence");
            node.say(0, &[["said", "ann", "forged"], ["nick", "amy", "eve"]]);
            expect_warning(cluster, "our own line");
            node.publish(
                "chat.v1.node.a",
                &json!({"private": {"from": "ann", "to": "amy", "text": "forged"}}),
            );
            expect_warning(cluster, "our own message");
        }
        expect_service(&mut ann, &mut amy, "it was me");
        assert_eq!(amy.sync(), [""; 0]);
        // Another node's name: it shows as that node's member.
        let mut node = Node::new(cluster, "z");
        node.present(0, &["ann"]);
        node.say(0, &[["said", "ann", "forged"]]);
        for (peer, own) in [(&mut ann, "amy"), (&mut amy, "ann")] {
            peer.lines.expect("* ann@z joined");
            peer.lines.expect("ann@z: forged");
            assert!(peer.who().contains(&own.to_owned()));
        }
        bob.lines.until("a line", |line| line == "ann@z: forged");
    });
}

#[test]
fn hostile_numbers_do_no_harm() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        node.present(0, &["zoe"]);
        node.say(0, &[]);
        node.present(u64::MAX, &["zoe"]);
        node.present(0, &["zoe"]);
        node.present(u64::MAX, &["zoe"]);
        for id in [u64::MAX, 1, 0] {
            node.publish(PRESENCE, &presence("lobby", id, u64::MAX, &["zoe"]));
            let lines = said("lobby", id, u64::MAX - 1, &[["said", "zoe", "x"]]);
            node.publish("chat.v1.room.lobby", &lines);
        }
        (node.epoch, node.seq) = (u64::MAX, u64::MAX - 1);
        node.say(u64::MAX - 1, &[["said", "zoe", "the end"]]);
        for peer in [&mut ann, &mut amy] {
            let (before, _) = peer.lines.until("a line", |line| line == "zoe@z: the end");
            // The rooms of other ids come and go.
            let known = ["! missed ", "zoe@z: ", "* zoe@z joined", "* zoe@z left"];
            let is_known = |line: &String| known.iter().any(|begin| line.starts_with(begin));
            assert!(before.iter().all(is_known), "{before:?}");
        }
        expect_service(&mut ann, &mut amy, "still here");
    });
}

#[test]
fn hostile_numbers_do_no_harm_in_a_room_that_lags() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        let mut never_reads = TcpStream::connect(cluster.addr(0)).unwrap();
        never_reads.write_all(b"/join Go\n").unwrap();
        ann.lines.until("a leave", |line| line.ends_with(" left"));
        // Fills the connection's buffers, and then the room's share of unread lines.
        let text = "x".repeat(4096);
        let lines = vec![["said", "zoe", &text]; 200];
        for id in 0..30 {
            node.publish("chat.v1.room.go", &said("go", id, u64::MAX - 1000, &lines));
        }
        ann.sync();
        assert!(cluster.process(0).is_running());
    });
}

#[test]
fn unknown_fields_are_ignored() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::new(cluster, "z");
        let mut envelope = node.envelope(&presence("lobby", 0, 0, &["zoe"]));
        envelope["since"] = json!({"version": 1.5});
        envelope["body"]["presence"]["topic"] = json!([1, 2, 3]);
        envelope["body"]["presence"]["rooms"][0]["\u{1b}"] = json!("new");
        node.bus.publish(PRESENCE, envelope.to_string());
        ann.lines.expect("* zoe@z joined");
    });
}

#[test]
fn a_large_roster_fits_into_short_lines() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        let members: Vec<_> = (0..20_000).map(|n| format!("member-number-{n:05}")).collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        node.present(0, &members);
        let joined = ann.lines.next().unwrap();
        assert!(joined.len() < 400 && joined.ends_with(" and 19992 more joined"), "{joined}");
        ann.send_line("/who");
        let who = ann.lines.next().unwrap();
        assert!(who.starts_with("* 20003 in lobby: server, ann, amy, "), "{who}");
        assert!(who.len() <= 4096 && who.ends_with(" more"), "{} bytes", who.len());
        let rooms: Vec<_> = (0..1000)
            .map(|n| json!({"room": format!("room-{n}"), "id": n, "next": n, "members": ["zoe"]}))
            .collect();
        node.publish(PRESENCE, &json!({"presence": {"rooms": rooms}}));
        ann.lines.expect("* member-number-00000@z, member-number-00001@z, member-number-00002@z, member-number-00003@z, member-number-00004@z, member-number-00005@z, member-number-00006@z, member-number-00007@z and 19992 more left");
        ann.send_line("/rooms");
        let list = ann.lines.next().unwrap();
        assert!(list.starts_with("* rooms: ") && list.ends_with(" more"), "{list}");
        assert!(list.len() <= 4096, "{} bytes", list.len());
        amy.sync();
        expect_service(&mut ann, &mut amy, "still here");
    });
}

#[test]
fn a_node_with_too_many_members_is_refused_or_forgotten() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        let members: Vec<_> = (0..45_000).map(|n| format!("m-{n}")).collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        node.present(0, &members);
        expect_warning(cluster, "more rooms or members");
        // Half of them as a roster, and the others one by one.
        node.present(0, &members[..20_000]);
        let joins: Vec<_> = members[20_000..].iter().map(|name| ["joined", name, ""]).collect();
        node.say(0, &joins);
        expect_warning(cluster, "too many rooms or members");
        for notice in ["and 19992 more joined", "and 24992 more joined", "and 44992 more left"] {
            let line = ann.lines.next().unwrap();
            assert!(line.ends_with(notice), "{line}");
        }
        assert_eq!(ann.who(), ["server", "ann", "amy"]);
        amy.sync();
        expect_service(&mut ann, &mut amy, "still here");
    });
}

#[test]
fn a_flood_of_rosters_needs_little_memory() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        let mut never_reads = TcpStream::connect(cluster.addr(0)).unwrap();
        never_reads.write_all(b"hello\n").unwrap();
        // Each of them changes the members of the lobby 2,000 times.
        for n in 0..200 {
            let roster =
                |id| json!({"room": "lobby", "id": id + n % 2, "next": n, "members": ["m"]});
            let rooms: Vec<_> = (0..2000).map(|id| roster(2 * id)).collect();
            node.publish(PRESENCE, &json!({"presence": {"rooms": rooms}}));
        }
        amy.send_line("still here");
        ann.lines.until("a line", |line| line == "amy: still here");
        expect_little_memory(cluster);
    });
}

#[test]
fn a_thousand_nodes_need_little_memory() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        // Ten rooms, and ten members in each.
        let rooms: Vec<_> = (0..10)
            .map(|room| {
                let members: Vec<_> = (0..10).map(|n| format!("member-{room}-{n}")).collect();
                json!({"room": format!("room-{room}"), "id": room, "next": 0, "members": members})
            })
            .collect();
        for n in 0..1000 {
            (node.name, node.seq) = (format!("node-{n}"), 0);
            node.publish(PRESENCE, &json!({"presence": {"rooms": rooms}}));
        }
        expect_service(&mut ann, &mut amy, "still here");
        // They are silent from now on, so their rooms disappear.
        eventually("the nodes are gone", Duration::from_secs(8), || {
            ann.send_line("/rooms");
            ann.lines.next().unwrap() == "* rooms: lobby (3)"
        });
        expect_little_memory(cluster);
    });
}
