//! How little memory a thousand clients need, with the settings that everybody uses (row 38).

use crate::raw::Raw;
use crate::{Chat, Server, system};

/// What a server may use.
const MEMORY: usize = 64 << 20;

fn expect_little_memory(server: &Server) {
    if let Some(peak) = system::peak_memory(server.process.id()) {
        assert!(peak < MEMORY, "{} MiB", peak >> 20);
    }
}

/// A thousand clients send 8 KiB of short lines each, more than they may say at once. (38)
pub fn short_lines_over_the_rate_need_little_memory(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut clients = Raw::crowd(server.addr, 1000);
    // Within the rate, and answered when the server has read everything in one piece.
    let mut lines = " \n".repeat(900) + "/read\n";
    while lines.len() < 8192 {
        lines += " \n";
    }
    for client in &clients {
        client.send(&lines);
    }
    for client in &mut clients {
        client.until("an answer", |line| line.ends_with("/read"));
    }
    expect_little_memory(&server);
}

/// 990 rooms remember 20 lines each that grow threefold when they are shown. (38)
pub fn a_thousand_rooms_need_little_memory(chat: &Chat) {
    system::raise_descriptor_limit();
    let server = chat.server_with(&[]);
    let mut clients = Raw::crowd(server.addr, 990);
    let lines = ("\u{1}".repeat(4096) + "\n").repeat(20);
    for (n, client) in clients.iter().enumerate() {
        client.say(&format!("/join room-{n}"));
        client.send(&lines);
    }
    for client in &mut clients {
        client.round_trip();
    }
    expect_little_memory(&server);
}
