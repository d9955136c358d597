//! Nodes that are killed, frozen, restarted, or ended in order.

use std::time::{Duration, Instant};

use testkit::{Machine, PATIENCE, Peer, eventually};

use super::on_nats;

/// How long the members of a killed node may stay: 6 s of silence, and the ticks of two clocks.
const GONE: Duration = Duration::from_secs(7);

/// How long news from another node may take.
const SOON: Duration = Duration::from_secs(1);

/// The names that the next notice says have left; it may be longer than a name.
fn next_leavers(peer: &mut Peer, limit: Duration) -> Vec<String> {
    let line = peer.lines.next_within(limit).flatten();
    let names = line.as_deref().and_then(|line| line.strip_prefix("* ")?.strip_suffix(" left"));
    let names = names.unwrap_or_else(|| panic!("no leave within {limit:?}: {line:?}"));
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_members_of_a_killed_node_leave_within_seven_seconds() {
    on_nats(Machine::Shared, 3, |cluster| {
        let names = ["ann", "bob", "cyd", "amy", "bea", "cat"];
        let [mut ann, _bob, mut cyd, amy, bea, _cat] = cluster.people(names);
        let (mut amy, _bea) = (amy.joined("rust"), bea.joined("rust"));
        amy.lines.expect("* bea@b joined");
        // Their notices arrive in any order, but before a list without them.
        for person in [&mut ann, &mut cyd] {
            eventually("amy and bea have left", PATIENCE, || {
                person.who().iter().all(|name| !name.starts_with("amy") && !name.starts_with("bea"))
            });
        }
        cluster.process(1).kill();
        let killed = Instant::now();
        // One notice for each room.
        assert_eq!(next_leavers(&mut ann, GONE), ["bob@b", "server@b"]);
        println!("{:?}", killed.elapsed());
        assert!(killed.elapsed() < GONE, "{:?}", killed.elapsed());
        assert_eq!(next_leavers(&mut cyd, SOON), ["bob@b", "server@b"]);
        assert_eq!(next_leavers(&mut amy, SOON), ["bea@b"]);
        assert!(ann.who().iter().all(|name| !name.ends_with("@b")));
        ann.send_line("/rooms");
        ann.lines.expect("* rooms: lobby (5, 3 remote), rust (1)");
        ann.send_line("/msg bob@b hello");
        ann.lines.expect("! nobody is called bob@b");
    });
}

#[test]
fn a_node_that_ends_says_so_at_once() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob, _amy, _bea] = cluster.people(["ann", "bob", "amy", "bea"]);
        let ended = Instant::now();
        cluster.process(1).type_line("/exit");
        assert_eq!(next_leavers(&mut ann, SOON), ["bea@b", "bob@b", "server@b"]);
        assert!(ended.elapsed() < SOON, "{:?}", ended.elapsed());
        assert_eq!(bob.lines.rest().last().unwrap(), "* goodbye");
    });
}

#[test]
fn the_last_lines_of_a_node_arrive() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        bob.send_line("one");
        bob.sync();
        cluster.process(1).type_bytes("two\n/exit\n");
        for line in ["bob@b: one", "server@b: two", "* bob@b, server@b left"] {
            ann.lines.expect(line);
        }
    });
}

#[test]
fn a_restarted_node_has_no_ghosts() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, _bob] = cluster.people(["ann", "bob"]);
        for name in ["eve", "zoe", "bob"] {
            cluster.process(1).kill();
            cluster.start_again(1);
            let started = Instant::now();
            let own = ["server", "ann", "server@b"];
            eventually("the ghosts are gone", Duration::from_secs(2), || ann.who() == own);
            println!("{:?}", started.elapsed());
            let mut new = cluster.peer(1).named(name);
            eventually("each lists the other", SOON, || {
                new.who().contains(&"ann@a".into()) && ann.who().contains(&format!("{name}@b"))
            });
            ann.send_line("welcome");
            new.lines.until("a line", |line| line == "ann@a: welcome");
            new.send_line("thank you");
            let thanks = format!("{name}@b: thank you");
            let (before, _) = ann.lines.until(&thanks, |line| line == thanks);
            assert!(before.iter().all(|line| line.starts_with("* ")), "{before:?}");
        }
    });
}

#[test]
fn a_node_that_was_frozen_briefly_misses_nothing() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        cluster.process(1).signal("STOP");
        let frozen = Instant::now();
        let mut said = 0;
        while frozen.elapsed() < Duration::from_secs(3) {
            ann.send_line(&said.to_string());
            ann.sync();
            said += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster.process(1).signal("CONT");
        for n in 0..said {
            bob.lines.expect_after_notices(&format!("ann@a: {n}"));
        }
        bob.send_line("good morning");
        ann.lines.expect_after_notices("bob@b: good morning");
    });
}

#[test]
fn the_members_of_a_frozen_node_leave_and_return() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        cluster.process(1).signal("STOP");
        let frozen = Instant::now();
        assert_eq!(next_leavers(&mut ann, GONE), ["bob@b", "server@b"]);
        assert!(frozen.elapsed() < GONE, "{:?}", frozen.elapsed());
        ann.send_line("while you slept");
        cluster.process(1).signal("CONT");
        ann.lines.expect("* bob@b, server@b joined");
        // Whatever bob's node believed about the others meanwhile, it is corrected.
        eventually("each lists the other", PATIENCE, || {
            ann.who().contains(&"bob@b".into()) && bob.who().contains(&"ann@a".into())
        });
        ann.send_line("hello again");
        bob.lines.until("a line", |line| line == "ann@a: hello again");
        bob.send_line("hello");
        ann.lines.expect_after_notices("bob@b: hello");
    });
}

#[test]
fn a_second_node_of_the_same_name_is_ignored() {
    on_nats(Machine::Shared, 2, |cluster| {
        let [mut ann, mut bob] = cluster.people(["ann", "bob"]);
        cluster.add("A");
        let warning = cluster.process(0).stderr.next().unwrap();
        assert!(warning.contains("WARN") && warning.contains("our name"), "{warning}");
        let mut eve = cluster.peer(2);
        // The other nodes trust the latest.
        bob.lines.expect("* ann@a left");
        ann.send_line("hi");
        eve.send_line("hello");
        bob.lines.until("a line", |line| line == format!("{}@a: hello", eve.name));
        assert_eq!(ann.sync(), [""; 0]);
        let received = eve.sync();
        assert!(received.iter().all(|line| !line.contains("ann")), "{received:?}");
        cluster.process(2).type_line("/exit");
        assert_eq!(cluster.process(2).exit(), 0);
        bob.lines.until("a leave", |line| line.ends_with("server@a left"));
        // When it has been silent long enough, the first is accepted again.
        bob.lines.expect("* ann@a, server@a joined");
        ann.send_line("still here");
        bob.lines.expect("ann@a: still here");
    });
}
