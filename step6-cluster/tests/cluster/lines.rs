//! What members of several nodes say, with both relays.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use testkit::{Cluster, PATIENCE, Peer, eventually};

use super::on_each_relay;

/// Expects that each of `readers` receives `line` next.
fn expect_all(line: &str, readers: &mut [&mut Peer]) {
    readers.iter_mut().for_each(|reader| reader.lines.expect(line));
}

#[test]
fn lines_and_actions_reach_every_node() {
    on_each_relay(3, |cluster| {
        let [mut ann, mut bob, mut cyd] = cluster.people(["ann", "bob", "cyd"]);
        ann.send_line("hi");
        ann.send_line("/me waves");
        expect_all("ann@a: hi", &mut [&mut bob, &mut cyd]);
        expect_all("** ann@a waves", &mut [&mut bob, &mut cyd]);
        cyd.send_line("hi ann");
        expect_all("cyd@c: hi ann", &mut [&mut ann, &mut bob]);
        cluster.process(0).type_line("welcome");
        ann.lines.expect("server: welcome");
        expect_all("server@a: welcome", &mut [&mut bob, &mut cyd]);
        bob.send_line("last");
        expect_all("bob@b: last", &mut [&mut ann, &mut cyd]);
        // No line came back to its author.
        for peer in [&mut ann, &mut bob, &mut cyd] {
            assert_eq!(peer.sync(), [""; 0]);
        }
    });
}

/// Bytes that are not UTF-8 grow: each becomes U+FFFD, which has three bytes.
#[test]
fn a_line_that_grows_reaches_every_node() {
    on_each_relay(2, |cluster| {
        let [ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
        let long = [b"before\n", [0x80; 4096].as_slice(), b"\n", &[1; 4096], b"\nafter\n"].concat();
        ann.writer().write_all(&long).unwrap();
        let grown = "\u{fffd}".repeat(4096);
        for (reader, author) in [(&mut bob, "ann@a"), (&mut amy, "ann")] {
            for text in ["before", &grown, &grown, "after"] {
                reader.lines.expect(&format!("{author}: {text}"));
            }
        }
    });
}

#[test]
fn an_at_sign_cannot_be_imitated() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob, mut amy] = cluster.people(["ann", "bob", "amy"]);
        for name in ["bob@b", "@", "b@", "@b"] {
            ann.send_line(&format!("/nick {name}"));
            let refusal = ann.lines.next().unwrap();
            assert!(refusal.starts_with("! "), "{refusal}");
            ann.send_line(&format!("/join {name}"));
            let refusal = ann.lines.next().unwrap();
            assert!(refusal.starts_with("! "), "{refusal}");
        }
        for text in ["bob@b: hi", "* bob@b left", "** bob@b waves", "! missed 3 lines"] {
            ann.send_line(text);
            amy.lines.expect(&format!("ann: {text}"));
            bob.lines.expect(&format!("ann@a: {text}"));
        }
    });
}

#[test]
fn a_private_message_reaches_a_member_of_another_node() {
    on_each_relay(3, |cluster| {
        let people = cluster.people(["ann", "bob", "cyd", "amy", "bea"]);
        let [mut ann, mut bob, mut cyd, mut amy, mut bea] = people;
        ann.send_line("/msg bob@b for you: alone");
        ann.lines.expect("* to bob@b: for you: alone");
        bob.lines.expect("ann@a (private): for you: alone");
        // Names have no case. The recipient may be in another room.
        bob.send_line("/join elsewhere");
        bob.lines.expect("* you are in elsewhere");
        ann.lines.expect("* bob@b left");
        // Until the news of the new room arrives, bob is in none.
        eventually("the new room is known", PATIENCE, || {
            ann.send_line("/rooms");
            ann.lines.next().unwrap().contains("elsewhere (1, 1 remote)")
        });
        ann.send_line("/msg BOB@B still there?");
        ann.lines.expect("* to bob@b: still there?");
        bob.lines.expect("ann@a (private): still there?");
        bob.send_line("/msg server@a psst");
        bob.lines.expect("* to server@a: psst");
        cluster.process(0).stdout.until("a message", |line| line == "bob@b (private): psst");
        // The own node may be named, too.
        ann.send_line("/msg amy@a hi");
        ann.lines.expect("* to amy: hi");
        amy.lines.expect_after_notices("ann (private): hi");
        for other in [&mut cyd, &mut amy, &mut bea] {
            let lines = other.sync();
            assert!(lines.iter().all(|line| !line.contains("private")), "{lines:?}");
        }
    });
}

#[test]
fn a_private_message_to_nobody_is_refused() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        for name in ["zoe@b", "bob@z", "bob@", "@b", "@", "bob@b@b", "bob", "zoe@a", "@a"] {
            ann.send_line(&format!("/msg {name} hello"));
            ann.lines.expect(&format!("! nobody is called {name}"));
        }
        bob.send_line("/exit");
        bob.lines.rest();
        ann.lines.expect("* bob@b left");
        ann.send_line("/msg bob@b hello");
        ann.lines.expect("! nobody is called bob@b");
    });
}

#[test]
fn a_member_with_too_many_unread_messages_gets_no_more() {
    on_each_relay(2, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        // A client that never reads.
        let mut bob = TcpStream::connect(cluster.addr(1)).unwrap();
        bob.write_all(b"/nick bob\n").unwrap();
        eventually("bob is listed", PATIENCE, || ann.who().contains(&"bob@b".into()));
        let message = format!("/msg bob@b {}", "x".repeat(4000));
        let refusal = "! bob@b has too many unread messages";
        // The buffers of the connection take some megabytes first.
        let refused = (0..200).any(|_| {
            (0..25).for_each(|_| ann.send_line(&message));
            ann.sync().iter().any(|line| line == refusal)
        });
        assert!(refused, "nothing was refused");
    });
}

#[test]
fn rooms_are_isolated_across_nodes() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        bob.send_line("/join Rust");
        bob.lines.expect("* you are in Rust");
        ann.lines.expect("* bob@b left");
        // What one node publishes arrives in order, so a line would arrive before the join.
        bob.send_line("only here");
        bob.send_line("/join lobby");
        bob.lines.expect("* you are in lobby");
        ann.lines.expect("* bob@b joined");
        bob.send_line("/join RUST");
        bob.lines.until("the room", |line| line == "* you are in RUST");
        ann.lines.expect("* bob@b left");
        ann.send_line("only there");
        ann.send_line("/join rust");
        ann.lines.expect("* you are in rust");
        bob.lines.expect("* ann@a joined");
        ann.send_line("hi");
        bob.lines.expect("ann@a: hi");
        bob.send_line("hi to you");
        ann.lines.expect("bob@b: hi to you");
    });
}

#[test]
fn history_holds_the_lines_of_other_nodes() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        (0..5).for_each(|n| ann.send_line(&format!("line {n}")));
        ann.send_line("/me waves");
        bob.lines.until("the last line", |line| line == "** ann@a waves");
        let mut late = Peer::ungreeted(cluster.addr(1));
        late.lines.until("the lobby", |line| line == "* you are in lobby");
        let mut history = late.sync();
        history.retain(|line| line.contains("ann@a") && !line.ends_with("hello from ann"));
        let mut expected: Vec<_> = (0..5).map(|n| format!("ann@a: line {n}")).collect();
        expected.push("** ann@a waves".into());
        assert_eq!(history, expected);
    });
}

#[test]
fn a_room_without_local_members_keeps_nothing() {
    on_each_relay(2, |cluster| {
        let [ann, mut bob] = cluster.people(["ann", "bob"]);
        let mut ann = ann.joined("go");
        (0..100).for_each(|n| ann.send_line(&format!("line {n}")));
        ann.sync();
        bob.lines.expect("* ann@a left");
        bob.send_line("/join go");
        bob.lines.expect("* you are in go");
        ann.lines.expect("* bob@b joined");
        ann.send_line("now");
        // Neither a history nor a gap: what was said before bob came was not lost.
        bob.lines.expect("ann@a: now");
    });
}

#[test]
fn a_room_that_opens_again_reports_no_gap() {
    on_each_relay(2, |cluster| {
        let [ann, bob] = cluster.people(["ann", "bob"]);
        let (mut ann, mut bob) = (ann.joined("go"), bob.joined("go"));
        ann.lines.expect("* bob@b joined");
        for n in 0..10 {
            bob.send_line(&format!("{n}\nagain\n/join lobby"));
            bob.lines.until("the lobby", |line| line == "* you are in lobby");
            bob.sync();
            for line in [&format!("bob@b: {n}"), "bob@b: again", "* bob@b left"] {
                ann.lines.expect(line);
            }
            bob.send_line("/join go");
            bob.lines.until("the room", |line| line == "* you are in go");
            ann.lines.expect("* bob@b joined");
            ann.send_line("welcome back");
            // The news that ann has joined may be behind bob, but no gap.
            bob.lines.expect_after_notices("ann@a: welcome back");
        }
    });
}

/// Reads lines, but no notices, until `count` of them.
fn read(peer: &mut Peer, count: usize) -> Vec<String> {
    let lines = peer.lines.by_ref().filter(|line| !line.starts_with("* "));
    lines.take(count).collect()
}

#[test]
fn all_clients_of_a_node_receive_one_order() {
    const LINES: usize = 300;
    let one_order = |cluster: &mut Cluster<'_>| {
        let names = ["ann", "bob", "cyd", "amy", "bea", "cat"];
        let mut people = cluster.people(names);
        thread::scope(|threads| {
            for person in &people[..3] {
                let mut writer = person.writer();
                threads.spawn(move || {
                    for n in 0..LINES {
                        writer.write_all(format!("{n}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        for node in 0..3 {
            let order = read(&mut people[node + 3], 3 * LINES);
            for author in 0..3 {
                let at = if author == node { "" } else { ["@a", "@b", "@c"][author] };
                let prefix = format!("{}{at}: ", names[author]);
                let numbers = order.iter().filter_map(|line| line.strip_prefix(&prefix));
                let numbers = numbers.map(|n| n.parse::<usize>().unwrap());
                assert!(numbers.eq(0..LINES), "lines of {prefix}");
            }
            let own = format!("{}: ", names[node]);
            let others = order.iter().filter(|line| !line.starts_with(&own));
            assert!(read(&mut people[node], 2 * LINES).iter().eq(others), "node {node}");
        }
    };
    on_each_relay(3, one_order);
}
