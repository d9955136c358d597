//! Floods with clients that read slowly or never (rows 16, 32, 34).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, Server, peer, system};

/// The size of a read buffer.
const BUFFER: usize = 1 << 20;

/// The timeout of a read or a write during a flood.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection whose greeting has been read, and its name.
fn greeted(addr: SocketAddr) -> (TcpStream, String) {
    let mut stream = peer::connect(addr);
    let first = peer::read_line(&mut stream);
    let name = first.strip_prefix("* you are ").expect("a greeting").to_owned();
    (stream, name)
}

/// Sends `count` numbered lines of `length` bytes as fast as the server reads them, then `end`.
fn flood(mut stream: &TcpStream, count: usize, length: usize) {
    stream.set_write_timeout(Some(LIMIT)).expect("open");
    let padding = "x".repeat(length - 10);
    let mut batch = String::new();
    for n in 0..count {
        batch += &format!("{n:09} {padding}\n");
        if batch.len() > 64 * 1024 || n + 1 == count {
            stream.write_all(batch.as_bytes()).expect("a server that reads");
            batch.clear();
        }
    }
    stream.write_all(b"end\n").expect("a server that reads");
}

/// Reads until `end` from each of `senders`. Fails if a line of theirs is missing or out of order.
fn read_all(stream: TcpStream, senders: &[String], count: usize) {
    stream.set_read_timeout(Some(LIMIT)).expect("open");
    let mut next = vec![0; senders.len()];
    let mut lines = BufReader::with_capacity(BUFFER, stream);
    let mut line = Vec::new();
    let mut ended = 0;
    while ended < senders.len() {
        line.clear();
        assert!(lines.read_until(b'\n', &mut line).expect("lines") > 0, "EOF");
        let text = std::str::from_utf8(&line).expect("UTF-8").trim_end();
        assert!(!text.starts_with('!'), "{text}");
        let Some((name, text)) = text.split_once(": ") else { continue };
        let Some(sender) = senders.iter().position(|sender| sender == name) else { continue };
        if text == "end" {
            assert_eq!(next[sender], count, "lines of {name} are missing");
            ended += 1;
        } else {
            let n: usize = text[..9].parse().expect("a number");
            assert_eq!(n, next[sender], "lines of {name} are missing");
            next[sender] += 1;
        }
    }
}

/// Floods a room in which one client never reads and one reads slowly. Expects that all other
/// clients receive every line, and that memory stays below 64 MiB.
fn slow_readers(chat: &Chat, senders: usize, mebibytes: usize) {
    const LENGTH: usize = 1000;
    let server = chat.server();
    let count = (mebibytes << 20) / LENGTH / senders;
    let never = peer::connect(server.addr);
    let slow = peer::connect(server.addr);
    let slow_reader = thread::spawn({
        let mut slow = slow.try_clone().expect("a file descriptor");
        move || {
            let mut line = [0; LENGTH];
            while slow.read(&mut line).is_ok_and(|n| n > 0) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let readers: Vec<_> = (0..10).map(|_| greeted(server.addr)).collect();
    let senders: Vec<_> = (0..senders).map(|_| greeted(server.addr)).collect();
    let names: Vec<_> = senders.iter().map(|(_, name)| name.clone()).collect();
    thread::scope(|threads| {
        for (stream, _) in readers {
            threads.spawn(|| read_all(stream, &names, count));
        }
        for (stream, name) in &senders {
            let others: Vec<_> = names.iter().filter(|other| *other != name).cloned().collect();
            let reading = stream.try_clone().expect("a file descriptor");
            threads.spawn(move || read_all(reading, &others, count));
            threads.spawn(move || flood(stream, count, LENGTH));
        }
    });
    if let Some(peak) = system::peak_memory(server.process.id()) {
        assert!(peak < 64 << 20, "{peak} bytes");
    }
    let is_disconnected_or_lags = |mut stream: TcpStream| {
        let mut all = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("open");
        // A disconnected client reads EOF or a reset, a connected client times out.
        let disconnected = stream
            .read_to_end(&mut all)
            .map_or_else(|error| error.kind() != std::io::ErrorKind::WouldBlock, |_| true);
        let all = String::from_utf8_lossy(&all).into_owned();
        disconnected || all.contains("! missed ")
    };
    assert!(is_disconnected_or_lags(never), "the client that never reads lost nothing");
    // Ends the thread that reads slowly.
    let _ = slow.shutdown(std::net::Shutdown::Both);
    slow_reader.join().expect("no panic");
    let mut ann = server.peer();
    ann.sync();
}

/// One client floods, one never reads and one reads slowly: the other clients lose no line. (16)
pub fn slow_readers_cost_other_clients_no_line(chat: &Chat) {
    slow_readers(chat, 1, 200);
}

/// Five clients flood, one never reads and one reads slowly: the other clients lose no line. (16)
pub fn slow_readers_cost_no_line_with_five_senders(chat: &Chat) {
    slow_readers(chat, 5, 200);
}

/// A client that never reads is evicted. Its last line is whole and gives the reason. (16)
pub fn a_client_that_never_reads_is_evicted(chat: &Chat) {
    let server = chat.server();
    let (mut stalled, name) = greeted(server.addr);
    let mut pair = chat.pair_on(server);
    let text = "x".repeat(4000);
    let left = format!("* {name} left");
    let mut flooder = pair.sender.writer();
    let flooding = thread::spawn(move || {
        let lines = format!("{text}\n").repeat(10);
        while flooder.write_all(lines.as_bytes()).is_ok() {}
    });
    pair.received().until(&left, |line| line == left);
    // The client reads now, while the server still drains its queue.
    let mut all = String::new();
    stalled.read_to_string(&mut all).expect("EOF, not a reset");
    let last = all.lines().last().expect("lines");
    assert_eq!(last, "! too slow");
    let whole = pair.received_as(&"x".repeat(4000));
    let partial = all.lines().filter(|line| !line.starts_with(['*', '!']) && *line != whole);
    assert_eq!(partial.count(), 0, "a line is not whole");
    drop(pair);
    flooding.join().expect("no panic");
}

/// During a flood, another client's lines arrive within a second. (32)
pub fn a_flood_does_not_delay_other_senders(chat: &Chat) {
    let mut pair = chat.pair();
    let flooder = pair.server.peer();
    let mut writer = flooder.writer();
    let flooding = thread::spawn(move || {
        let lines = "flood\n".repeat(1000);
        while writer.write_all(lines.as_bytes()).is_ok() {}
    });
    pair.received().until("the flood", |line| line.ends_with(": flood"));
    for n in 0..5 {
        let text = format!("over here {n}");
        let line = pair.received_as(&text);
        let sent = Instant::now();
        pair.sender.send_line(&text);
        pair.received().until(&line, |received| received == line);
        let elapsed = sent.elapsed();
        assert!(elapsed < Duration::from_secs(1), "a line took {elapsed:?} during a flood");
    }
    drop((pair, flooder));
    flooding.join().expect("no panic");
}

/// Two clients each send 20 MB before they read. They finish or are disconnected, none waits
/// forever, and other clients are served. (34)
pub fn clients_that_send_before_they_read_do_not_deadlock(chat: &Chat) {
    let server: Server = chat.server();
    let clients: Vec<_> = (0..2).map(|_| greeted(server.addr).0).collect();
    let mut pair = chat.pair_on(server);
    let line = format!("{}\n", "x".repeat(999));
    let sending: Vec<_> = clients
        .into_iter()
        .map(|mut stream| {
            let chunk = line.repeat(100);
            thread::spawn(move || {
                stream.set_write_timeout(Some(Duration::from_secs(10))).expect("open");
                for _ in 0..200 {
                    if let Err(error) = stream.write_all(chunk.as_bytes()) {
                        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "a deadlock");
                        break;
                    }
                }
                // Reads until nothing more is queued, or until the client is disconnected.
                stream.set_read_timeout(Some(Duration::from_secs(1))).expect("open");
                let _ = stream.read_to_end(&mut Vec::new());
            })
        })
        .collect();
    let sent = Instant::now();
    let expected = pair.received_as("still there?");
    pair.sender.send_line("still there?");
    pair.received().until(&expected, |line| line == expected);
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
    for client in sending {
        client.join().expect("no panic");
    }
    pair.sender.send_line("after all");
    let expected = pair.received_as("after all");
    pair.received().until(&expected, |line| line == expected);
}
