//! The relay freezes, ends, and returns. What is local goes on, and what was lost is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::{Bus, Cluster, Machine, PATIENCE, Peer, eventually};

use super::by_hand::Node;
use super::on_nats;
use super::talk::{Count, Talk};

#[test]
fn the_lines_of_an_outage_are_counted_exactly() {
    on_nats(Machine::Shared, 2, |cluster| {
        let mut talk = Talk::new(cluster);
        (0..3).for_each(|_| talk.round());
        talk.read_until("the first lines", |count| count.known() == 3);
        cluster.relay().kill();
        talk.until_lost();
        (0..10).for_each(|_| talk.round());
        cluster.relay().restart();
        talk.until_back();
        talk.finish();
        for count in &talk.counts {
            assert_eq!(count.missed, [10]);
        }
    });
}

#[test]
fn each_room_is_told_once_that_the_relay_is_lost() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [ann, bob, cat, dan] = cluster.people(["ann", "bob", "cat", "dan"]);
        let (mut cat, mut dan) = (cat.joined("rust"), dan.joined("rust"));
        cat.lines.until("a join", |line| line == "* dan@b joined");
        dan.lines.until("a join", |line| line == "* cat@a joined" || line == "* dan@b joined");
        cluster.relay().kill();
        let mut people = [ann, bob, cat, dan];
        for person in &mut people {
            person.lines.until("the relay", |line| line.starts_with("* relay lost"));
        }
        let [ann, bob, ..] = &mut people;
        ann.send_line("/msg bob@b hello");
        ann.lines.expect("! the relay is lost");
        bob.send_line("/msg ann@b hello");
        bob.lines.expect("! nobody is called ann@b");
        cluster.relay().restart();
        for person in &mut people {
            person.lines.expect("* relay back");
        }
        // Nobody had left.
        let [ann, bob, cat, dan] = &mut people;
        let across = |from: &mut Peer, to: &mut Peer, line: &str| {
            eventually("a line arrives", PATIENCE, || {
                from.send_line("hi");
                to.lines.next_within(Duration::from_millis(100)).is_some_and(|next| {
                    next.as_deref() == Some(line) || next.unwrap().starts_with("! missed ")
                })
            });
        };
        across(ann, bob, "ann@a: hi");
        across(cat, dan, "cat@a: hi");
        assert!(ann.who().contains(&"bob@b".into()));
    });
}

/// The NATS library has a queue of 128 events. While the node is stopped, more messages arrive than
/// the library keeps, and each is an event, so that it drops the one that the connection has ended.
#[test]
fn a_relay_that_is_lost_after_a_flood_is_noticed() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann] = cluster.people(["ann"]);
        let mut node = Node::joined(cluster, &mut ann, &["zoe"]);
        for _ in 0..3 {
            cluster.process(0).signal("STOP");
            (0..2000).for_each(|_| node.say(0, &[["said", "zoe", "hi"]]));
            cluster.relay().kill();
            cluster.process(0).signal("CONT");
            ann.lines.until("the relay", |line| line.starts_with("* relay lost"));
            cluster.relay().restart();
            ann.lines.until("the relay", |line| line == "* relay back");
            node.bus = Bus::connect(cluster.relay().addr());
        }
    });
}

#[test]
fn members_return_after_a_long_outage() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        cluster.relay().kill();
        for (person, others) in [(&mut ann, "bob@b, server@b"), (&mut bob, "ann@a, server@a")] {
            person.lines.until("the relay", |line| line.starts_with("* relay lost"));
            person.lines.expect(&format!("* {others} left"));
        }
        (0..10).for_each(|_| ann.send_line("anybody?"));
        ann.sync();
        cluster.relay().restart();
        let others = ["* bob@b, server@b joined", "* ann@a, server@a joined"];
        // The numbers of a node are kept while it is away.
        let missed = [None, Some("! missed 10 lines")];
        for (person, (others, missed)) in
            [&mut ann, &mut bob].into_iter().zip(others.iter().zip(missed))
        {
            person.lines.expect("* relay back");
            let mut wanted: BTreeSet<_> = [*others].into_iter().chain(missed).collect();
            while !wanted.is_empty() {
                let line = person.lines.next().unwrap();
                assert!(wanted.remove(line.as_str()), "{line} and not {wanted:?}");
            }
        }
        ann.send_line("there you are");
        bob.lines.expect("ann@a: there you are");
    });
}

/// Two clients of two nodes, in one room. The relay is lost.
fn in_a_room_without_relay(cluster: &mut Cluster<'_>) -> [Peer; 2] {
    let mut people = cluster.people(["ann", "bob"]).map(|person| person.joined("go"));
    people[0].lines.expect("* bob@b joined");
    cluster.relay().kill();
    for person in &mut people {
        person.lines.until("the relay", |line| line.starts_with("* relay lost"));
    }
    people
}

/// Says seven lines of bob during an outage, in rooms that open and close. Renames, joins and
/// leaves have no number.
fn say_seven_lines_in_rooms_that_close(bob: &mut Peer) {
    for n in 0..3 {
        bob.send_line(&format!("one\n/me waves\n/nick bob-{n}\n/join lobby\n/join go"));
        bob.sync();
    }
    bob.send_line("the last");
    bob.sync();
}

/// Expects that ann knows of the seven lines, and where bob is.
fn expect_seven_lines_missed(ann: &mut Peer) {
    let (mut missed, mut notices) = (0, BTreeSet::new());
    while missed < 7 || notices.len() < 3 {
        let line = ann.lines.next().unwrap();
        if let Some(rest) = line.strip_prefix("! missed ") {
            missed += rest.strip_suffix(" lines").unwrap().parse::<usize>().unwrap();
        } else {
            notices.insert(line);
        }
    }
    assert_eq!(missed, 7, "{notices:?}");
    let expected = ["* bob-2@b joined", "* bob@b left", "* relay back"];
    assert!(notices.iter().eq(&expected), "{notices:?}");
    assert_eq!(ann.who(), ["ann", "bob-2@b"]);
    assert_eq!(ann.sync(), [""; 0]);
}

#[test]
fn lines_of_rooms_that_close_during_an_outage_are_counted() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = in_a_room_without_relay(cluster);
        say_seven_lines_in_rooms_that_close(&mut bob);
        cluster.relay().restart();
        expect_seven_lines_missed(&mut ann);
    });
}

#[test]
fn rooms_in_which_nothing_was_said_hide_no_lost_lines() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = in_a_room_without_relay(cluster);
        say_seven_lines_in_rooms_that_close(&mut bob);
        let mut hopper = cluster.peer(1);
        // More rooms than a node may have, one after the other.
        for n in 0..1100 {
            hopper.send_line(&format!("/join room-{n}"));
        }
        hopper.sync();
        cluster.relay().restart();
        expect_seven_lines_missed(&mut ann);
    });
}

#[test]
fn a_node_that_reconnects_late_counts_the_lines_of_rooms_that_closed() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = in_a_room_without_relay(cluster);
        cluster.process(0).signal("STOP");
        say_seven_lines_in_rooms_that_close(&mut bob);
        cluster.relay().restart();
        bob.lines.until("the relay", |line| line == "* relay back");
        bob.sync();
        cluster.process(0).signal("CONT");
        expect_seven_lines_missed(&mut ann);
    });
}

#[test]
fn a_short_freeze_costs_no_line() {
    on_nats(Machine::Shared, 2, |cluster| {
        let mut talk = Talk::new(cluster);
        cluster.relay().freeze();
        talk.rounds_for(Duration::from_millis(500));
        cluster.relay().thaw();
        (0..5).for_each(|_| talk.round());
        let sent = talk.sent;
        talk.read_until("all lines", |count| count.known() >= sent);
        let all = Count { received: sent, ..Count::default() };
        assert_eq!(talk.counts, [all.clone(), all]);
    });
}

mod alone {
    use std::io::Write;
    use std::thread;

    use testkit::{Nats, best_of_three};

    use super::*;
    use crate::expect_little_memory;

    /// How long the relay is away.
    const OUTAGE: Duration = Duration::from_secs(3);

    /// How long a local line may take meanwhile.
    const LOCAL: Duration = Duration::from_millis(100);

    /// Two nodes talk through an outage of the relay. No local line may take longer than [`LOCAL`].
    fn talk_through(hurt: fn(&mut Nats), outage: Duration, heal: fn(&mut Nats)) {
        on_nats(Machine::Alone, 2, |cluster| {
            let mut talk = Talk::new(cluster);
            best_of_three(LOCAL, || {
                talk.longest = Duration::ZERO;
                talk.counts = Default::default();
                talk.sent = 0;
                talk.rounds_for(Duration::from_millis(200));
                hurt(cluster.relay());
                talk.rounds_for(outage);
                heal(cluster.relay());
                talk.until_back();
                talk.finish();
                println!("{:?}, {:?}", talk.longest, talk.counts);
                talk.longest
            });
        });
    }

    #[test]
    fn a_frozen_relay_delays_no_local_line() {
        talk_through(Nats::freeze, OUTAGE, Nats::thaw);
    }

    #[test]
    fn a_killed_relay_delays_no_local_line() {
        talk_through(Nats::kill, OUTAGE, Nats::restart);
    }

    #[test]
    fn a_restarted_relay_delays_no_local_line() {
        talk_through(|_| {}, Duration::ZERO, Nats::restart);
    }

    #[test]
    fn a_flood_during_an_outage_is_counted_exactly() {
        const LINES: usize = 50_000;
        on_nats(Machine::Alone, 2, |cluster| {
            let mut talk = Talk::new(cluster);
            cluster.relay().freeze();
            let numbers: String = (0..LINES).map(|n| format!("{n}\n")).collect();
            let mut writer = talk.authors[0].writer();
            let flood = thread::spawn(move || {
                writer.write_all(numbers.as_bytes()).unwrap();
            });
            for n in 0..LINES {
                let line = format!("ann: {n}");
                talk.readers[0].lines.expect_after_notices(&line);
            }
            flood.join().unwrap();
            let bea = &mut talk.readers[1];
            let count = &mut talk.counts[1];
            let mut add = |line: &str| count.add(line, "ann@a");
            // Node b sends nothing, so it learns from the unanswered pings that the relay is lost.
            let (before, lost) = bea.lines.until("a loss", |line| line.starts_with("* relay lost"));
            before.iter().chain([&lost]).for_each(|line| add(line));
            cluster.relay().thaw();
            while count.known() < LINES {
                count.add(&bea.lines.next().unwrap(), "ann@a");
            }
            println!("{count:?}");
            assert_eq!(count.known(), LINES);
            expect_little_memory(cluster);
        });
    }
}
