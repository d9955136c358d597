//! Much at once: clients cannot make the relay look lost, and what they miss is counted.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use testkit::{Cluster, Machine, PATIENCE, Peer, eventually};

use super::by_hand::{Node, PRESENCE, presence, said};
use super::members::rooms;
use super::{on_each_relay, on_local, on_nats};

/// Waits until the server has handled what the client has sent. Returns the lines received.
fn sync_without_loss(peer: &mut Peer) -> Vec<String> {
    let lines = peer.sync();
    assert!(!lines.iter().any(|line| line.starts_with("* relay lost")), "{lines:?}");
    lines
}

/// The messages that a client sent to bob, and of which the server said that they are on their way.
fn accepted(replies: &[String]) -> Vec<&str> {
    replies.iter().filter_map(|line| line.strip_prefix("* to bob@b: ")).collect()
}

/// Sends messages to bob in one write. Those that are accepted arrive, in order. Returns their
/// number.
fn message_bob(cluster: &Cluster<'_>, messages: usize) -> usize {
    let [mut ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
    let burst: String = (0..messages).map(|n| format!("/msg bob@b {n}\n")).collect();
    ann.writer().write_all(burst.as_bytes()).unwrap();
    let replies = sync_without_loss(&mut ann);
    let sent = accepted(&replies);
    let refusal = "! too many messages wait for the relay";
    let refused = replies.iter().filter(|line| *line == refusal);
    assert_eq!(sent.len() + refused.count(), messages, "{replies:?}");
    eventually("the queue has space", PATIENCE, || {
        ann.send_line("/msg bob@b the end");
        accepted(&sync_without_loss(&mut ann)) == ["the end"]
    });
    let (received, _) = bob.lines.until("the end", |line| line.ends_with(": the end"));
    let texts = received.iter().map(|line| line.strip_prefix("ann@a (private): ").unwrap());
    assert!(texts.eq(sent.iter().copied()), "{received:?}");
    sync_without_loss(&mut amy);
    sent.len()
}

#[test]
fn private_messages_leave_half_of_the_queue_free() {
    on_local(Machine::Shared, 2, |cluster| assert!(message_bob(cluster, 2000) >= 512));
    // More at once may overflow the NATS client of node b.
    on_nats(Machine::Shared, 2, |cluster| assert_eq!(message_bob(cluster, 500), 500));
}

#[test]
fn a_burst_of_rooms_does_not_fill_the_queue() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
        let burst: String = (0..3000).map(|n| format!("/join r{n}\nhello\n")).collect();
        ann.writer().write_all(burst.as_bytes()).unwrap();
        for peer in [&mut ann, &mut amy, &mut bob] {
            let lines = sync_without_loss(peer);
            // No node takes the other for another program.
            assert!(!lines.iter().any(|line| line.contains("server@")), "{lines:?}");
        }
        // All other rooms are closed, here and there.
        for peer in [&mut amy, &mut bob] {
            eventually("only one room is left", PATIENCE, || {
                peer.send_line("/rooms");
                let (before, rooms) =
                    peer.lines.until("the rooms", |line| line.starts_with("* rooms: "));
                assert!(!before.iter().any(|line| line.contains("server@")), "{before:?}");
                rooms.matches(", r").count() == 1 && rooms.contains("r2999 (1")
            });
        }
    });
}

#[test]
fn many_rooms_at_once_do_not_fill_the_queue() {
    const CLIENTS: usize = 150;
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        let mut people: Vec<_> = (0..CLIENTS).map(|_| cluster.peer(0)).collect();
        for (n, person) in people.iter_mut().enumerate() {
            person.send(format!("/join r{n}\nhello\n"));
        }
        for person in people.iter_mut().chain([&mut ann, &mut bob]) {
            sync_without_loss(person);
        }
        eventually("all rooms are listed", PATIENCE, || {
            rooms(&mut bob).iter().filter(|room| room.ends_with("(1, 1 remote)")).count() == CLIENTS
        });
    });
}

/// Through NATS they have no order: lines and private messages have two subscriptions.
#[test]
fn a_private_message_comes_after_what_was_said_before() {
    on_local(Machine::Shared, 2, |cluster| {
        let [ann, mut bob] = cluster.people(["ann", "bob"]);
        for n in 0..20 {
            ann.writer().write_all(format!("{n}\n/msg bob@b {n}\n").as_bytes()).unwrap();
            bob.lines.expect(&format!("ann@a: {n}"));
            bob.lines.expect(&format!("ann@a (private): {n}"));
        }
        // The next room is no shortcut.
        ann.writer().write_all(b"the last\n/join go\n/msg bob@b psst\n").unwrap();
        bob.lines.expect("ann@a: the last");
        bob.lines.expect_after_notices("ann@a (private): psst");
    });
}

#[test]
fn a_join_that_finds_a_full_room_is_announced_later() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [ann] = cluster.people(["ann"]);
        let mut ann = ann.joined("go");
        // Clients that join together do not receive each other's join.
        ann.send_line("first");
        let mut never_reads = TcpStream::connect(cluster.addr(0)).unwrap();
        never_reads.write_all(b"/join go\n").unwrap();
        ann.lines.until("a join", |line| line.ends_with(" joined"));
        let mut node = Node::new(cluster, "z");
        node.publish(PRESENCE, &presence("go", 1, 0, &["zoe"]));
        ann.lines.expect_after_notices("* zoe@z joined");
        // Fills the connection's buffers, and then the room's share of unread lines.
        let text = "x".repeat(4096);
        let lines = vec![["said", "zoe", &text]; 200];
        for n in 0..30 {
            node.publish("chat.v1.room.go", &said("go", 1, n * 200, &lines));
        }
        node.publish("chat.v1.room.go", &said("go", 1, 6000, &[["joined", "zed", ""]]));
        node.publish(PRESENCE, &presence("go", 1, 6000, &["zoe", "zed"]));
        ann.lines.until("a join", |line| line == "* zed@z joined");
    });
}

#[test]
fn a_client_that_lags_counts_what_its_room_missed() {
    const LINES: usize = 4000;
    on_nats(Machine::Shared, 1, |cluster| {
        let mut pauser = TcpStream::connect(cluster.addr(0)).unwrap();
        pauser.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(pauser.try_clone().unwrap()).lines().map(Result::unwrap);
        assert!(reader.any(|line| line == "* you are in lobby"));
        let [mut ann] = cluster.people(["ann"]);
        // Her join and her name. No other notice follows.
        assert_eq!(reader.by_ref().take(2).count(), 2);
        let mut node = Node::new(cluster, "z");
        node.say(0, &[["said", "zoe", "one"]]);
        ann.lines.expect("zoe@z: one");
        // More than the buffers of a connection hold, so the client lags at the end.
        let text = "x".repeat(4000);
        (0..LINES).for_each(|_| ann.send_line(&text));
        ann.sync();
        node.say(1001, &[["said", "zoe", "two"]]);
        ann.lines.expect("! missed 1000 lines");
        ann.lines.expect("zoe@z: two");
        (0..LINES).for_each(|_| ann.send_line(&text));
        ann.sync();
        pauser.write_all(b"/who\n").unwrap();
        let (mut received, mut missed) = (0, 0);
        for line in reader.take_while(|line| !line.starts_with("* 3 in lobby")) {
            if let Some(number) = line.strip_prefix("! missed ") {
                missed += number.strip_suffix(" lines").unwrap().parse::<usize>().unwrap();
            } else {
                received += 1;
            }
        }
        println!("{received} received, {missed} missed");
        assert_eq!(received + missed, 2 * LINES + 1002);
    });
}
