//! Nodes at full speed.

mod alone {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use testkit::{Cluster, Machine, Nats};

    use crate::{expect_little_memory, on_local, on_nats};

    /// How many lines each of the three nodes' authors says: 200,000 in total.
    const LINES: [usize; 3] = [66_666, 66_667, 66_667];

    /// The lines of the authors as one reader receives them, and how many it missed.
    #[derive(Debug, Default)]
    struct Count {
        received: [usize; 3],
        missed: usize,
        /// The number after the last one received from each author.
        next: [usize; 3],
    }

    impl Count {
        fn known(&self) -> usize {
            self.received.iter().sum::<usize>() + self.missed
        }

        /// Counts a line of a reader on `node`. The lines of each author have to be in order.
        fn add(&mut self, node: usize, line: &str) {
            if let Some(missed) = line.strip_prefix("! missed ") {
                self.missed += missed.split(' ').next().unwrap().parse::<usize>().unwrap();
                return;
            }
            let Some((name, number)) = line.split_once(": ") else { return };
            if line.starts_with("* ") || number.starts_with("hello") {
                return;
            }
            let author = ["ann", "bob", "cyd"].iter().position(|author| name.starts_with(author));
            let author = author.unwrap();
            assert_eq!(name.contains('@'), author != node, "{line}");
            let number = number.split([' ', '\n']).next().unwrap();
            let number: usize = number.parse().unwrap();
            assert!(number >= self.next[author], "{line} after {}", self.next[author]);
            self.next[author] = number + 1;
            self.received[author] += 1;
        }
    }

    /// Reads until so many lines are known.
    fn read_until(stream: TcpStream, node: usize, lines_said: usize) -> Count {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut lines = BufReader::with_capacity(1 << 20, stream);
        let (mut count, mut line) = (Count::default(), String::new());
        while count.known() < lines_said {
            line.clear();
            match lines.read_line(&mut line) {
                Ok(1..) => count.add(node, &line),
                other => panic!("{other:?}: {count:?}"),
            }
        }
        count
    }

    /// A client whose lines nobody has read yet, behind the greeting.
    fn reader(addr: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(addr).unwrap();
        let mut byte = [0];
        let mut line = Vec::new();
        while !line.ends_with(b"* you are in lobby\n") {
            std::io::Read::read_exact(&mut &stream, &mut byte).unwrap();
            line.extend(byte);
        }
        stream
    }

    /// Says so many lines. With `pace`, a thousand at a time.
    fn flood(mut author: TcpStream, lines: usize, pace: Duration) {
        for first in (0..lines).step_by(1000) {
            let numbers = first..lines.min(first + 1000);
            let numbers: String = numbers.map(|n| format!("{n}\n")).collect();
            author.write_all(numbers.as_bytes()).unwrap();
            thread::sleep(pace);
        }
    }

    /// Three authors flood three nodes, while `meanwhile` runs. A reader of each node receives each
    /// line, or is told that it was missed.
    fn two_hundred_thousand_lines(
        cluster: &mut Cluster<'_>,
        pace: Duration,
        meanwhile: impl FnOnce(&mut Cluster<'_>),
    ) {
        let authors = cluster.people(["ann", "bob", "cyd"]);
        let readers: Vec<_> = (0..3).map(|node| reader(cluster.addr(node))).collect();
        let started = Instant::now();
        thread::scope(|threads| {
            let counting: Vec<_> = readers
                .into_iter()
                .enumerate()
                .map(|(node, stream)| {
                    threads.spawn(move || read_until(stream, node, LINES.iter().sum()))
                })
                .collect();
            for (author, lines) in authors.iter().zip(LINES) {
                let author = author.writer();
                threads.spawn(move || flood(author, lines, pace));
            }
            meanwhile(cluster);
            for (node, count) in counting.into_iter().enumerate() {
                let count = count.join().unwrap();
                println!("node {node}: {count:?}");
                assert_eq!(count.known(), LINES.iter().sum::<usize>(), "node {node}");
                assert_eq!(count.received[node], LINES[node], "lines of its own node");
            }
        });
        println!("{:?}", started.elapsed());
        expect_little_memory(cluster);
    }

    fn at_full_speed(cluster: &mut Cluster<'_>) {
        two_hundred_thousand_lines(cluster, Duration::ZERO, |_| {});
    }

    /// The lines take three seconds. The relay is hurt after one, and healed after another two.
    fn flood_through(cluster: &mut Cluster<'_>, hurt: fn(&mut Nats), heal: fn(&mut Nats)) {
        two_hundred_thousand_lines(cluster, Duration::from_millis(45), |cluster| {
            thread::sleep(Duration::from_secs(1));
            hurt(cluster.relay());
            thread::sleep(Duration::from_secs(2));
            heal(cluster.relay());
        });
    }

    /// The relay starts again while three authors talk fast.
    #[test]
    fn a_relay_that_restarts_during_a_flood_is_counted_exactly() {
        on_nats(Machine::Alone, 3, |cluster| flood_through(cluster, Nats::restart, |_| {}));
    }

    /// The relay freezes while three authors talk fast. When it goes on, it finds lines of broken
    /// connections in its buffers.
    #[test]
    fn a_relay_that_freezes_during_a_flood_is_counted_exactly() {
        on_nats(Machine::Alone, 3, |cluster| flood_through(cluster, Nats::freeze, Nats::thaw));
    }

    /// A client of node b never reads. So its room misses lines of node a, and is told how many. No
    /// other room waits for it.
    #[test]
    fn a_stalled_reader_costs_only_its_room_remote_lines() {
        const LINES: usize = 50_000;
        on_nats(Machine::Alone, 2, |cluster| {
            let [ann, _bob, _amy, bea, _cat, dan] =
                cluster.people(["ann", "bob", "amy", "bea", "cat", "dan"]);
            let (mut bea, mut dan) = (bea.joined("rust"), dan.joined("rust"));
            bea.sync();
            let _never_reads = reader(cluster.addr(1));
            let reads = reader(cluster.addr(1));
            let padding = "x".repeat(1000);
            let lines: String = (0..LINES).map(|n| format!("{n} {padding}\n")).collect();
            let mut author = ann.writer();
            let writing = thread::spawn(move || author.write_all(lines.as_bytes()).unwrap());
            let counting = thread::spawn(move || read_until(reads, 1, LINES));
            let mut longest = Duration::ZERO;
            while !counting.is_finished() {
                let said = Instant::now();
                bea.send_line("hi");
                dan.lines.expect_after_notices("bea: hi");
                longest = longest.max(said.elapsed());
            }
            writing.join().unwrap();
            let count = counting.join().unwrap();
            println!("{count:?}, {longest:?}");
            assert_eq!(count.known(), LINES);
            assert!(count.missed > 0, "nothing was missed");
            assert!(longest < Duration::from_millis(250), "{longest:?}");
            expect_little_memory(cluster);
        });
    }

    #[test]
    fn lines_at_full_speed_in_one_process_are_received_or_counted() {
        on_local(Machine::Alone, 3, at_full_speed);
    }

    #[test]
    fn lines_at_full_speed_through_nats_are_received_or_counted() {
        on_nats(Machine::Alone, 3, at_full_speed);
    }
}
