//! Two nodes that talk, and an account of what one receives of the other.

use std::thread;
use std::time::{Duration, Instant};

use testkit::{Cluster, PATIENCE, Peer};

/// Names on node a and on node b.
const AUTHORS: [&str; 2] = ["ann@a", "bob@b"];

/// Two authors on two nodes, who say the same numbers, and a reader on each node.
pub(crate) struct Talk {
    pub(crate) authors: [Peer; 2],
    pub(crate) readers: [Peer; 2],
    /// What the readers know of the lines of the other node.
    pub(crate) counts: [Count; 2],
    /// How many lines each author has said.
    pub(crate) sent: usize,
    /// The longest time that a line took to the reader on its own node.
    pub(crate) longest: Duration,
}

/// What a reader knows of the lines of an author on another node.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Count {
    pub(crate) received: usize,
    /// Each number in `! missed N lines`.
    pub(crate) missed: Vec<usize>,
    pub(crate) relay_lost: usize,
    pub(crate) relay_back: usize,
}

impl Count {
    /// Counts a line that a reader receives. The numbers show that the gaps are where they are told.
    pub(crate) fn add(&mut self, line: &str, author: &str) {
        if let Some(number) = line.strip_prefix(author).and_then(|rest| rest.strip_prefix(": ")) {
            assert_eq!(number.parse(), Ok(self.known()), "{self:?}");
            self.received += 1;
        } else if let Some(rest) = line.strip_prefix("! missed ") {
            let number = rest.strip_suffix(" lines").and_then(|number| number.parse().ok());
            self.missed.push(number.unwrap());
        } else if line.starts_with("* relay lost") {
            self.relay_lost += 1;
        } else if line == "* relay back" {
            self.relay_back += 1;
        } else {
            panic!("{line}: {self:?}");
        }
    }

    /// How many lines were received or missed.
    pub(crate) fn known(&self) -> usize {
        self.received + self.missed.iter().sum::<usize>()
    }
}

impl Talk {
    pub(crate) fn new(cluster: &Cluster<'_>) -> Self {
        let [ann, bob, amy, bea] = cluster.people(["ann", "bob", "amy", "bea"]);
        let counts = Default::default();
        let (authors, readers) = ([ann, bob], [amy, bea]);
        Self { authors, readers, counts, sent: 0, longest: Duration::ZERO }
    }

    /// Each author says a line. Waits until the readers on their own nodes have received them.
    pub(crate) fn round(&mut self) {
        for node in 0..2 {
            let line = format!("{}: {}", self.authors[node].name, self.sent);
            let said = Instant::now();
            self.authors[node].send_line(&self.sent.to_string());
            let (before, _) = self.readers[node].lines.until(&line, |received| received == line);
            self.longest = self.longest.max(said.elapsed());
            before.iter().for_each(|line| self.counts[node].add(line, AUTHORS[1 - node]));
        }
        self.sent += 1;
    }

    pub(crate) fn rounds_for(&mut self, time: Duration) {
        let started = Instant::now();
        while started.elapsed() < time {
            self.round();
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Reads on until `holds` for the readers of both nodes.
    pub(crate) fn read_until(&mut self, what: &str, holds: impl Fn(&Count) -> bool) {
        let started = Instant::now();
        for node in 0..2 {
            while !holds(&self.counts[node]) {
                assert!(started.elapsed() < PATIENCE, "{what}: {:?}", self.counts);
                let line = self.readers[node].lines.next().unwrap();
                self.counts[node].add(&line, AUTHORS[1 - node]);
            }
        }
    }

    pub(crate) fn until_lost(&mut self) {
        self.read_until("the relay is lost", |count| count.relay_lost > 0);
    }

    pub(crate) fn until_back(&mut self) {
        self.read_until("the relay is back", |count| count.relay_back > 0);
    }

    /// Says some more lines. Expects that each line was received or is counted as missed, and that
    /// the end and the return of the relay were announced once.
    pub(crate) fn finish(&mut self) {
        (0..5).for_each(|_| self.round());
        let sent = self.sent;
        self.read_until("all lines are known", |count| count.known() >= sent);
        // The clocks of the nodes tick a few times before the last line.
        self.rounds_for(Duration::from_millis(600));
        let sent = self.sent;
        self.read_until("all lines are known", |count| count.known() >= sent);
        for (node, count) in self.counts.iter().enumerate() {
            assert_eq!(count.known(), self.sent, "node {node}: {count:?}");
            assert_eq!((count.relay_lost, count.relay_back), (1, 1), "node {node}");
        }
    }
}
