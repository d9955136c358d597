//! Several nodes: joined in one process, or by a real `nats-server`.

mod bursts;
mod by_hand;
mod crashes;
mod hostile;
mod lines;
mod load;
mod malformed;
mod members;
mod options;
mod outages;
mod protocol;
mod shutdown;
mod talk;

use testkit::{Chat, Cluster, Machine, Nats, check, system};

fn chat() -> Chat {
    Chat::new(6, env!("CARGO_BIN_EXE_step6-cluster"))
}

/// Tests nodes in one process.
fn on_local(machine: Machine, nodes: usize, test: impl Fn(&mut Cluster<'_>)) {
    println!("{nodes} nodes in one process");
    check(&chat(), |chat| test(&mut Cluster::local(chat, nodes, &[])), machine);
}

/// Tests nodes that NATS joins. Without an installed `nats-server` it does nothing.
fn on_nats(machine: Machine, nodes: usize, test: impl Fn(&mut Cluster<'_>)) {
    println!("{nodes} nodes and NATS");
    let run = |chat: &Chat| {
        if let Some(nats) = Nats::start() {
            test(&mut Cluster::nats(chat, nats, nodes, &[]));
        }
    };
    check(&chat(), run, machine);
}

/// Tests both kinds of relay.
fn on_each_relay(nodes: usize, test: impl Fn(&mut Cluster<'_>)) {
    on_local(Machine::Shared, nodes, &test);
    on_nats(Machine::Shared, nodes, &test);
}

/// Expects that no process had more than 64 MiB of memory for each of its nodes.
fn expect_little_memory(cluster: &mut Cluster<'_>) {
    let nodes = cluster.nodes() / cluster.processes().len();
    for process in cluster.processes() {
        if let Some(peak) = system::peak_memory(process.id()) {
            println!("{} KiB", peak / 1024);
            assert!(peak < nodes * (64 << 20), "{peak} bytes");
        }
    }
}
