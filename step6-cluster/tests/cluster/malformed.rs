//! Envelopes that are refused.

use serde_json::{Value, json};
use testkit::Machine;

use super::by_hand::{Node, PRESENCE, presence};
use super::hostile::{expect_service, expect_warning};
use super::on_nats;

/// The subjects under which a node receives.
const SUBJECTS: [&str; 3] = ["chat.v1.room.lobby", PRESENCE, "chat.v1.node.a"];

/// Envelopes that are refused, whatever the subject.
fn malformed(node: &mut Node) -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("not JSON", b"hello".into()),
        ("not UTF-8", b"{\"version\":1,\"node\":\"\xff\xfe\"}".into()),
        ("a number", b"1".into()),
        ("deep nesting", b"[".repeat(200_000)),
        ("deep objects", b"{\"body\":".repeat(100_000)),
        ("a megabyte of spaces", b" ".repeat(1_000_001)),
    ];
    let mut with = |reason, change: &dyn Fn(&mut Value)| {
        let lines = json!({"lines": {"room": "lobby", "id": 0, "first": 0, "lines": [["said", "zoe", "hi"]]}});
        let mut envelope = node.envelope(&lines);
        change(&mut envelope);
        all.push((reason, envelope.to_string().into()));
    };
    with("a newer version", &|envelope| envelope["version"] = json!(2));
    with("version 0", &|envelope| envelope["version"] = json!(0));
    with("a version that is no byte", &|envelope| envelope["version"] = json!(257));
    with("no node", &|envelope| envelope["node"] = json!(null));
    with("a negative number", &|envelope| envelope["epoch"] = json!(-1));
    with("a number with a fraction", &|envelope| envelope["seq"] = json!(1.5));
    with("a number that is too large", &|envelope| envelope["seq"] = json!(1e30));
    with("an unknown body", &|envelope| envelope["body"] = json!({"\u{1b}[2J": {}}));
    with("no body", &|envelope| envelope["body"] = json!({}));
    with("two bodies", &|envelope| {
        envelope["body"]["presence"] = json!({"rooms": []});
    });
    for kind in ["", "SAID", "\u{1b}[2J\n"] {
        with("a kind of line", &|envelope| envelope["body"]["lines"]["lines"][0][0] = json!(kind));
    }
    with("numbers that overflow", &|envelope| envelope["body"]["lines"]["first"] = json!(u64::MAX));
    let long = "x".repeat(3 * 4096 + 1);
    with("a long text", &|envelope| envelope["body"]["lines"]["lines"][0][2] = json!(long));
    with("a long action", &|envelope| {
        envelope["body"]["lines"]["lines"][0] = json!(["did", "zoe", long]);
    });
    for name in NAMES {
        with("a node", &|envelope| envelope["node"] = json!(name));
        with("a room", &|envelope| envelope["body"]["lines"]["room"] = json!(name));
        with("an author", &|envelope| envelope["body"]["lines"]["lines"][0][1] = json!(name));
        with("a new name", &|envelope| {
            envelope["body"]["lines"]["lines"][0] = json!(["nick", "zoe", name]);
        });
        with("a newcomer", &|envelope| {
            envelope["body"]["lines"]["lines"][0] = json!(["joined", name, ""]);
        });
        with("a member", &|envelope| envelope["body"] = presence("lobby", 0, 0, &["zoe", name]));
        with("a room of members", &|envelope| envelope["body"] = presence(name, 0, 0, &["zoe"]));
        with("a sender", &|envelope| {
            envelope["body"] = json!({"private": {"from": name, "to": "ann", "text": "hi"}});
        });
        with("a recipient", &|envelope| {
            envelope["body"] = json!({"private": {"from": "zoe", "to": name, "text": "hi"}});
        });
        with("a refusal", &|envelope| {
            envelope["body"] = json!({"refused": {"from": "ann", "to": name, "full": true}});
        });
    }
    with("a long message", &|envelope| {
        envelope["body"] = json!({"private": {"from": "zoe", "to": "ann", "text": long}});
    });
    let whole = node.envelope(&presence("lobby", 0, 0, &["zoe"])).to_string().into_bytes();
    all.extend((1..whole.len()).step_by(7).map(|end| ("truncated", whole[..end].into())));
    all
}

/// Texts that are no names.
const NAMES: [&str; 9] =
    ["", "zoe@z", "a\nb", "\u{1b}[31mzoe", "abcdefghijklmnopqrstu", "1st", "zoë", "a b", "* ann"];

#[test]
fn malformed_envelopes_cost_a_log_line() {
    on_nats(Machine::Shared, 1, |cluster| {
        let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
        let mut node = Node::new(cluster, "z");
        for (n, (reason, payload)) in malformed(&mut node).into_iter().enumerate() {
            node.bus.publish(SUBJECTS[n % 3], payload);
            expect_warning(cluster, reason);
            expect_service(&mut ann, &mut amy, reason);
        }
        assert_eq!(ann.who(), ["server", "ann", "amy"]);
    });
}

mod alone {
    use std::thread;
    use std::time::{Duration, Instant};

    use serde_json::json;
    use testkit::Machine;

    use crate::by_hand::{Node, said};
    use crate::hostile::expect_service;
    use crate::on_nats;

    /// To decode one of them takes about 20 ms, in a debug build. The node must not decode all of them
    /// before it serves its clients.
    #[test]
    fn large_refused_envelopes_delay_no_local_line_for_long() {
        on_nats(Machine::Alone, 1, |cluster| {
            let [mut ann, mut amy] = cluster.people(["ann", "amy"]);
            let mut node = Node::new(cluster, "z");
            let mut large = node.envelope(&said("lobby", 0, 0, &vec![["said", "zoe", ""]; 48_000]));
            large["version"] = json!(2);
            let large = large.to_string();
            assert!(large.len() > 700_000, "{} bytes", large.len());
            let publisher = thread::spawn(move || {
                (0..100).for_each(|_| node.bus.publish("chat.v1.room.lobby", &large))
            });
            let (mut refused, mut slowest) = (0, Duration::ZERO);
            while refused < 100 {
                let sent = Instant::now();
                expect_service(&mut ann, &mut amy, "hello");
                slowest = slowest.max(sent.elapsed());
                let log = &mut cluster.process(0).stderr;
                while let Some(line) = log.next_within(Duration::ZERO) {
                    refused += usize::from(line.unwrap().contains("an envelope is ignored"));
                }
            }
            println!("{slowest:?}");
            assert!(slowest < Duration::from_millis(500), "{slowest:?}");
            publisher.join().unwrap();
        });
    }
}
