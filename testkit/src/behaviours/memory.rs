//! Memory bounds with a thousand clients and default settings (row 38).

use std::time::Duration;

use crate::raw::Raw;
use crate::{Chat, Server, system};

/// The most memory that a server may use.
const MEMORY: usize = 64 << 20;

fn expect_little_memory(server: &Server) {
    if let Some(peak) = system::peak_memory(server.process.id()) {
        assert!(peak < MEMORY, "{} MiB", peak >> 20);
    }
}

/// A thousand clients each send 8 KiB of short lines, and the server stays below 64 MiB. (38)
pub fn short_lines_over_the_rate_need_little_memory(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut clients = Raw::crowd(server.addr, 1000);
    // The first 901 lines are within the rate. The reply comes after the server has read all 8 KiB.
    let mut lines = " \n".repeat(900) + "/read\n";
    while lines.len() < 8192 {
        lines += " \n";
    }
    for client in &clients {
        client.send(&lines);
    }
    for client in &mut clients {
        client.until("a reply", |line| line.ends_with("/read"));
    }
    expect_little_memory(&server);
}

/// 990 rooms keep a history of 20 lines each, and the server stays below 64 MiB. (38)
///
/// Each control character grows from one byte to three when it is replaced.
pub fn a_thousand_rooms_need_little_memory(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut clients = Raw::crowd(server.addr, 990);
    let lines = ("\u{1}".repeat(4096) + "\n").repeat(20);
    for (n, client) in clients.iter().enumerate() {
        client.send_line(&format!("/join room-{n}"));
        client.send(&lines);
    }
    for client in &mut clients {
        client.round_trip();
    }
    expect_little_memory(&server);
}

/// Clients that enter rooms with a long history again and again, and do not read, cost little
/// memory and delay no other client. (38)
pub fn entering_without_reading_needs_little_memory(chat: &Chat) {
    let server = chat.server_with(&[]);
    let mut writer = Raw::connect(server.addr);
    let lines = ("\u{1}".repeat(4096) + "\n").repeat(20);
    for room in ["lobby", "x"] {
        writer.send_line(&format!("/join {room}"));
        writer.send(&lines);
    }
    // The answer comes when both rooms remember the lines; the writer stays in one of them.
    writer.round_trip();
    let mut observer = Raw::connect(server.addr);
    let commands = "/join x\n/join lobby\n".repeat(500);
    let entering: Vec<_> = (0..4).map(|_| Raw::connect(server.addr)).collect();
    for client in &entering {
        client.send(&commands);
    }
    for _ in 0..20 {
        let took = observer.round_trip();
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    expect_little_memory(&server);
}
