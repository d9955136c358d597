use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{End, Process};
use crate::{Chat, Nats, PATIENCE, Peer};

/// The names of the nodes, in order.
const NODES: [&str; 4] = ["a", "b", "c", "d"];

/// Several nodes of step 6, named `a`, `b`, `c`, without a rate limit.
#[derive(Debug)]
pub struct Cluster<'a> {
    chat: &'a Chat,
    /// One process for each node, or one for all.
    processes: Vec<Process>,
    addrs: Vec<SocketAddr>,
    args: Vec<String>,
    /// The NATS server between the processes.
    nats: Option<Nats>,
}

impl<'a> Cluster<'a> {
    /// Nodes in one process.
    pub fn local(chat: &'a Chat, nodes: usize, args: &[&str]) -> Self {
        let addrs = vec!["127.0.0.1:0"; nodes];
        let args = [&["server"], addrs.as_slice(), &["--rate", "0"], args].concat();
        let mut process = Process::start(&mut chat.command(&args), End::Piped, End::Piped);
        let addrs = (0..nodes).map(|_| process.listening()).collect();
        Self { chat, processes: vec![process], addrs, args: Vec::new(), nats: None }
    }

    /// Nodes in a process each, joined by a NATS server.
    pub fn nats(chat: &'a Chat, nats: Nats, nodes: usize, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let nats = Some(nats);
        let mut cluster = Self { chat, processes: Vec::new(), addrs: Vec::new(), args, nats };
        for node in NODES.into_iter().take(nodes) {
            cluster.add(node);
        }
        cluster
    }

    /// Starts one more process, under any name.
    pub fn add(&mut self, node: &str) {
        let (process, addr) = self.start(node);
        self.processes.push(process);
        self.addrs.push(addr);
    }

    /// Starts a node again that has ended. It listens on another port.
    pub fn start_again(&mut self, node: usize) {
        let (process, addr) = self.start(NODES[node]);
        self.processes[node] = process;
        self.addrs[node] = addr;
    }

    fn start(&self, node: &str) -> (Process, SocketAddr) {
        let url = self.nats.as_ref().expect("a NATS server").url();
        let mut args = vec!["server", "127.0.0.1:0", "--rate", "0", "--relay", &url];
        args.extend(["--node", node]);
        args.extend(self.args.iter().map(String::as_str));
        let mut process = Process::start(&mut self.chat.command(&args), End::Piped, End::Piped);
        let addr = process.listening();
        (process, addr)
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.addrs.len()
    }

    /// The process of a node. In a local cluster it is the same for all.
    pub fn process(&mut self, node: usize) -> &mut Process {
        let last = self.processes.len() - 1;
        &mut self.processes[node.min(last)]
    }

    /// All processes.
    pub fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// The address of a node.
    pub fn addr(&self, node: usize) -> SocketAddr {
        self.addrs[node]
    }

    /// The NATS server.
    ///
    /// # Panics
    ///
    /// If the cluster is local.
    pub fn relay(&mut self) -> &mut Nats {
        self.nats.as_mut().expect("a NATS server")
    }

    /// A new client of a node that has been greeted.
    pub fn peer(&self, node: usize) -> Peer {
        Peer::greeted(self.addrs[node])
    }

    /// Clients with names, on the nodes in turn. Each knows of all others, and no notice about them
    /// is pending.
    pub fn people<const N: usize>(&self, names: [&str; N]) -> [Peer; N] {
        let mut n = 0;
        let mut people = names.map(|name| {
            n += 1;
            self.peer((n - 1) % self.nodes()).named(name)
        });
        for (reader, person) in people.iter_mut().enumerate() {
            let here = reader % self.nodes();
            let people = (0..N).map(|n| shown(names[n], n % self.nodes(), here));
            // Each process has an operator.
            let operators = (0..self.processes.len()).map(|node| shown("server", node, here));
            let all: Vec<_> = people.chain(operators).collect();
            eventually("everybody is listed", PATIENCE, || {
                let listed = person.who();
                all.iter().all(|name| listed.contains(name))
            });
        }
        // A line is behind all notices that were pending.
        for sender in 0..N {
            let hello = format!("hello from {}", names[sender]);
            people[sender].send_line(&hello);
            for (_, person) in people.iter_mut().enumerate().filter(|(n, _)| *n != sender) {
                person.lines.until(&hello, |line| line.ends_with(&hello));
            }
        }
        people
    }
}

/// How the clients of the node `here` see a name of `node`.
fn shown(name: &str, node: usize, here: usize) -> String {
    if node == here { name.into() } else { format!("{name}@{}", NODES[node]) }
}

/// Asks again and again until `holds`. Returns how long it took, at most `limit`.
pub fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
    started.elapsed()
}
