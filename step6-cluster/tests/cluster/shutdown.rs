//! The end of a server, with and without a relay.

use std::time::{Duration, Instant};

use step6_cluster::server::DRAIN;
use testkit::{Cluster, Machine, Nats, Peer, best_of_three};

use super::{chat, on_local, on_nats};

/// How long a server may take to end.
const LIMIT: Duration = Duration::from_secs(2);

/// A way to end the first process.
type End = fn(&mut Cluster<'_>);

/// Ends the first process, and expects that its clients have received the goodbye.
fn expect_end(cluster: &mut Cluster<'_>, clients: &mut [&mut Peer], end: End) {
    let started = Instant::now();
    end(cluster);
    assert_eq!(cluster.process(0).exit_within(LIMIT), 0);
    println!("{:?}", started.elapsed());
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    for client in clients {
        assert_eq!(client.lines.rest().last().unwrap(), "* goodbye");
    }
}

fn by_operator(cluster: &mut Cluster<'_>) {
    cluster.process(0).type_line("/exit");
}

fn by_signal(cluster: &mut Cluster<'_>) {
    cluster.process(0).signal("INT");
}

#[test]
fn all_nodes_of_a_process_end_together() {
    for end in [by_operator, by_signal] {
        on_local(Machine::Shared, 3, |cluster| {
            let [mut ann, mut bob, mut cyd] = cluster.people(["ann", "bob", "cyd"]);
            expect_end(cluster, &mut [&mut ann, &mut bob, &mut cyd], end);
        });
    }
}

#[test]
fn the_nodes_of_a_process_wait_for_their_clients_at_the_same_time() {
    best_of_three(2 * DRAIN, || {
        let chat = chat();
        let mut cluster = Cluster::local(&chat, 2, &[]);
        // They do not close their connections after the goodbye.
        let _clients = [0, 1].map(|node| cluster.peer(node));
        let started = Instant::now();
        by_operator(&mut cluster);
        assert_eq!(cluster.process(0).exit_within(LIMIT), 0);
        println!("{:?}", started.elapsed());
        started.elapsed()
    });
}

/// Ends a node after the relay was hurt: at once, or when the node has noticed.
fn end_without_relay(hurt: fn(&mut Nats)) {
    for (end, noticed) in [(by_operator as End, false), (by_signal, true)] {
        on_nats(Machine::Shared, 1, |cluster| {
            let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
            hurt(cluster.relay());
            if noticed {
                ann.lines.until("the relay", |line| line.starts_with("* relay lost"));
            }
            (0..100).for_each(|_| amy.send_line("is this the end?"));
            amy.sync();
            expect_end(cluster, &mut [&mut ann, &mut amy], end);
        });
    }
}

#[test]
fn a_server_ends_within_two_seconds_without_its_relay() {
    end_without_relay(Nats::kill);
}

#[test]
fn a_server_ends_within_two_seconds_while_its_relay_is_frozen() {
    end_without_relay(Nats::freeze);
}
