//! Nodes at full speed.

mod alone {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use testkit::{Cluster, Machine, system};

    use crate::{on_local, on_nats};

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
            if number.starts_with("hello") {
                return;
            }
            let author = ["ann", "bob", "cyd"].iter().position(|author| name.starts_with(author));
            let author = author.unwrap();
            assert_eq!(name.contains('@'), author != node, "{line}");
            let number: usize = number.trim_end().parse().unwrap();
            assert!(number >= self.next[author], "{line} after {}", self.next[author]);
            self.next[author] = number + 1;
            self.received[author] += 1;
        }
    }

    /// Reads until all lines are known.
    fn read(stream: TcpStream, node: usize) -> Count {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut lines = BufReader::with_capacity(1 << 20, stream);
        let (mut count, mut line) = (Count::default(), String::new());
        while count.known() < LINES.iter().sum() {
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

    fn flood(mut author: TcpStream, lines: usize) {
        let numbers: String = (0..lines).map(|n| format!("{n}\n")).collect();
        author.write_all(numbers.as_bytes()).unwrap();
    }

    /// Three authors flood three nodes. A reader of each node receives each line, or is told that
    /// it was missed.
    fn two_hundred_thousand_lines(cluster: &mut Cluster<'_>) {
        let authors = cluster.people(["ann", "bob", "cyd"]);
        let readers: Vec<_> = (0..3).map(|node| reader(cluster.addr(node))).collect();
        let started = Instant::now();
        thread::scope(|threads| {
            let counting: Vec<_> = readers
                .iter()
                .enumerate()
                .map(|(node, stream)| {
                    let stream = stream.try_clone().unwrap();
                    threads.spawn(move || read(stream, node))
                })
                .collect();
            for (author, lines) in authors.iter().zip(LINES) {
                let author = author.writer();
                threads.spawn(move || flood(author, lines));
            }
            for (node, count) in counting.into_iter().enumerate() {
                let count = count.join().unwrap();
                println!("node {node}: {count:?}");
                assert_eq!(count.known(), LINES.iter().sum::<usize>(), "node {node}");
                assert_eq!(count.received[node], LINES[node], "lines of its own node");
            }
        });
        println!("{:?}", started.elapsed());
        let nodes = cluster.nodes() / cluster.processes().len();
        for process in cluster.processes() {
            if let Some(peak) = system::peak_memory(process.id()) {
                println!("{} KiB", peak / 1024);
                assert!(peak < nodes * (64 << 20), "{peak} bytes");
            }
        }
    }

    #[test]
    fn lines_at_full_speed_in_one_process_are_received_or_counted() {
        on_local(Machine::Alone, 3, two_hundred_thousand_lines);
    }

    #[test]
    fn lines_at_full_speed_through_nats_are_received_or_counted() {
        on_nats(Machine::Alone, 3, two_hundred_thousand_lines);
    }
}
