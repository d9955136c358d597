//! The members of several nodes and their rooms, with both relays.

use std::collections::BTreeSet;

use testkit::{PATIENCE, Peer, eventually};

use super::on_each_relay;

#[test]
fn joins_leaves_and_renames_are_announced_on_every_node() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        for _ in 0..10 {
            // The client says something and leaves before it has read its name.
            let mut guest = Peer::ungreeted(cluster.addr(1));
            guest.send("hello\n/me waves\n/exit\n");
            let lines = guest.lines.rest();
            let name = lines[0].strip_prefix("* you are ").unwrap();
            for (reader, name) in [(&mut bob, name), (&mut ann, &format!("{name}@b"))] {
                reader.lines.expect(&format!("* {name} joined"));
                reader.lines.expect(&format!("{name}: hello"));
                reader.lines.expect(&format!("** {name} waves"));
                reader.lines.expect(&format!("* {name} left"));
            }
        }
        bob.send("as bob\n/nick rob\nas rob\n");
        ann.lines.expect("bob@b: as bob");
        ann.lines.expect("* bob@b is now rob@b");
        ann.lines.expect("rob@b: as rob");
        assert_eq!(ann.sync(), [""; 0]);
        assert!(ann.who().contains(&"rob@b".into()));
        assert!(!ann.who().contains(&"bob@b".into()));
    });
}

#[test]
fn two_nodes_may_use_the_same_name() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut other, mut amy] = cluster.people(["ann", "Ann", "amy"]);
        ann.send_line("hi");
        other.lines.expect("ann@a: hi");
        amy.lines.expect("ann: hi");
        other.send_line("hi");
        ann.lines.expect("Ann@b: hi");
        amy.lines.expect("Ann@b: hi");
        amy.send_line("/msg ann@b you there");
        amy.lines.expect("* to Ann@b: you there");
        other.lines.expect("amy@a (private): you there");
        amy.send_line("/msg ann you here");
        amy.lines.expect("* to ann: you here");
        ann.lines.expect("amy (private): you here");
        other.send_line("/exit");
        other.lines.rest();
        amy.lines.expect("* Ann@b left");
        // The name is still taken on its own node.
        amy.send_line("/nick ANN");
        amy.lines.expect("! ANN is taken");
    });
}

#[test]
fn who_and_rooms_count_remote_members() {
    on_each_relay(2, |cluster| {
        let [mut ann, mut bob, cat, dan] = cluster.people(["ann", "bob", "cat", "dan"]);
        let (_cat, _dan) = (cat.joined("rust"), dan.joined("Go"));
        ann.lines.until("a leave", |line| line == "* dan@b left");
        // Without NATS, there is one operator.
        let operators = cluster.processes().len();
        let who = ["server", "ann", "bob@b", "server@b"];
        assert_eq!(ann.who(), who[..operators + 2]);
        let total = operators + 2;
        let here = [format!("lobby ({total}, {operators} remote)"), "Go (1, 1 remote)".into()];
        let there = [format!("lobby ({total}, 2 remote)"), "Go (1)".into()];
        for (peer, [lobby, go], rust) in
            [(&mut ann, here, "rust (1)"), (&mut bob, there, "rust (1, 1 remote)")]
        {
            let expected = BTreeSet::from([lobby, go, rust.into()]);
            eventually("all rooms are listed", PATIENCE, || rooms(peer) == expected);
        }
    });
}

/// The rooms that `/rooms` lists, such as `rust (1)`.
pub(crate) fn rooms(peer: &mut Peer) -> BTreeSet<String> {
    peer.send_line("/rooms");
    let (_, list) = peer.lines.until("a list of rooms", |line| line.starts_with("* rooms: "));
    let rooms = list["* rooms: ".len()..].split_inclusive(')');
    rooms.map(|room| room.trim_start_matches(", ").to_owned()).collect()
}

#[test]
fn a_crowd_that_joins_another_node_is_announced_in_few_notices() {
    on_each_relay(2, |cluster| {
        let [mut ann, _bob] = cluster.people(["ann", "bob"]);
        let crowd: Vec<_> = (0..200).map(|_| Peer::ungreeted(cluster.addr(1))).collect();
        let mut expect_few = |what| {
            let (mut count, mut notices) = (0, 0);
            while count < crowd.len() {
                let line = ann.lines.next().unwrap();
                count += count_names(&line, what);
                notices += 1;
            }
            assert_eq!(count, crowd.len());
            assert!(notices <= 100, "{notices} notices");
        };
        expect_few("joined");
        crowd.iter().for_each(Peer::half_close);
        expect_few("left");
        assert!(ann.who().iter().all(|name| !name.starts_with("guest-")));
    });
}

/// How many names a notice that somebody joined or left stands for.
fn count_names(line: &str, what: &str) -> usize {
    let names = line.strip_prefix("* ").and_then(|line| line.strip_suffix(what));
    let Some(names) = names else { return 0 };
    let (names, more) = names.trim_end().split_once(" and ").unwrap_or((names, "0 more"));
    let more: usize = more.strip_suffix(" more").unwrap().parse().unwrap();
    names.split(", ").count() + more
}
