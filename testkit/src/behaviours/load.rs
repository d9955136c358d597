//! More than anybody could read (rows 16, 32, 34).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Chat, Server, peer, system};

/// A megabyte is enough for one read.
const BUFFER: usize = 1 << 20;

/// A connection whose greeting has been read, and by which name it goes.
fn greeted(addr: SocketAddr) -> (TcpStream, String) {
    let mut stream = peer::connect(addr);
    let first = peer::read_line(&mut stream);
    let name = first.strip_prefix("* you are ").expect("a greeting").to_owned();
    (stream, name)
}

/// Sends `count` numbered lines of `length` bytes, as fast as they are taken; then `end`.
fn flood(mut stream: &TcpStream, count: usize, length: usize) {
    let padding = "x".repeat(length - 10);
    let mut batch = String::new();
    for n in 0..count {
        batch += &format!("{n:09} {padding}\n");
        if batch.len() > 64 * 1024 || n + 1 == count {
            stream.write_all(batch.as_bytes()).expect("a flood is taken");
            batch.clear();
        }
    }
    stream.write_all(b"end\n").expect("a flood is taken");
}

/// Reads until each of `senders` has said `end`, and fails if a line of theirs is missing or out of
/// order.
fn read_all(stream: TcpStream, senders: &[String], count: usize) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("open");
    let mut next = vec![0; senders.len()];
    let mut lines = BufReader::with_capacity(BUFFER, stream);
    let mut line = Vec::new();
    let mut ended = 0;
    while ended < senders.len() {
        line.clear();
        assert!(lines.read_until(b'\n', &mut line).expect("lines") > 0, "cut off");
        let text = std::str::from_utf8(&line).expect("UTF-8").trim_end();
        assert!(!text.starts_with('!'), "{text}");
        let Some((name, said)) = text.split_once(": ") else { continue };
        let Some(who) = senders.iter().position(|sender| sender == name) else { continue };
        if said == "end" {
            assert_eq!(next[who], count, "lines of {name} are missing");
            ended += 1;
        } else {
            let n: usize = said[..9].parse().expect("a number");
            assert_eq!(n, next[who], "lines of {name} are missing");
            next[who] += 1;
        }
    }
}

fn bad_readers(chat: &Chat, senders: usize, mebibytes: usize) {
    const LENGTH: usize = 1000;
    let server = chat.server();
    let count = (mebibytes << 20) / LENGTH / senders;
    let never = peer::connect(server.addr);
    let slow = peer::connect(server.addr);
    let slow_reader = thread::spawn({
        let mut slow = slow.try_clone().expect("a descriptor");
        move || {
            let mut line = [0; LENGTH];
            while slow.read(&mut line).is_ok_and(|n| n > 0) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let readers: Vec<_> = (0..10).map(|_| greeted(server.addr)).collect();
    let talkers: Vec<_> = (0..senders).map(|_| greeted(server.addr)).collect();
    let names: Vec<_> = talkers.iter().map(|(_, name)| name.clone()).collect();
    thread::scope(|threads| {
        for (stream, _) in readers {
            threads.spawn(|| read_all(stream, &names, count));
        }
        for (stream, name) in &talkers {
            let others: Vec<_> = names.iter().filter(|other| *other != name).cloned().collect();
            let reading = stream.try_clone().expect("a descriptor");
            threads.spawn(move || read_all(reading, &others, count));
            threads.spawn(move || flood(stream, count, LENGTH));
        }
    });
    if let Some(peak) = system::peak_memory(server.process.id()) {
        assert!(peak < 64 << 20, "{peak} bytes");
    }
    let told = |mut stream: TcpStream| {
        let mut all = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("open");
        // A reset is one way to be cut; whoever is not cut sees no end.
        let cut = stream
            .read_to_end(&mut all)
            .map_or_else(|error| error.kind() != std::io::ErrorKind::WouldBlock, |_| true);
        let all = String::from_utf8_lossy(&all).into_owned();
        cut || all.contains("! missed ")
    };
    assert!(told(never), "who never reads is neither cut nor told");
    // Ends the thread that read slowly.
    let _ = slow.shutdown(std::net::Shutdown::Both);
    slow_reader.join().expect("no panic");
    let mut ann = server.peer();
    ann.sync();
}

/// One who floods, one who never reads and one who reads too slowly: the others lose nothing. (16)
pub fn bad_readers_cost_nobody_a_line(chat: &Chat) {
    bad_readers(chat, 1, 200);
}

/// The same with five who flood. (16)
pub fn bad_readers_among_five_floods(chat: &Chat) {
    bad_readers(chat, 5, 200);
}

/// Who reads nothing is told to be too slow, if its socket takes that, and leaves once. (16)
pub fn the_stuck_are_cut(chat: &Chat) {
    let server = chat.server();
    let (mut stuck, name) = greeted(server.addr);
    let mut pair = chat.pair_on(server);
    let text = "x".repeat(4000);
    let left = format!("* {name} left");
    let mut flooder = pair.speaker.writer();
    let flooding = thread::spawn(move || {
        let lines = format!("{text}\n").repeat(10);
        while flooder.write_all(lines.as_bytes()).is_ok() {}
    });
    pair.ears().until(&left, |line| line == left);
    // Reading now, within the time that a farewell may take.
    let mut all = String::new();
    stuck.read_to_string(&mut all).expect("an orderly end");
    let last = all.lines().last().expect("lines");
    assert_eq!(last, "! too slow");
    let whole = pair.heard_as(&"x".repeat(4000));
    let cut = all.lines().filter(|line| !line.starts_with(['*', '!']) && *line != whole);
    assert_eq!(cut.count(), 0, "lines are cut");
    drop(pair);
    flooding.join().expect("no panic");
}

/// One who floods does not keep the others from talking. (32)
pub fn a_flood_does_not_silence_the_others(chat: &Chat) {
    let mut pair = chat.pair();
    let flooder = pair.server.peer();
    let mut writer = flooder.writer();
    let flooding = thread::spawn(move || {
        let lines = "flood\n".repeat(1000);
        while writer.write_all(lines.as_bytes()).is_ok() {}
    });
    pair.ears().until("the flood", |line| line.ends_with(": flood"));
    for n in 0..5 {
        let text = format!("over here {n}");
        let line = pair.heard_as(&text);
        let said = Instant::now();
        pair.speaker.say(&text);
        pair.ears().until(&line, |heard| heard == line);
        assert!(said.elapsed() < Duration::from_secs(1), "{:?}", said.elapsed());
    }
    drop((pair, flooder));
    flooding.join().expect("no panic");
}

/// Two who both send 20 MB before they read anything finish, or are cut: nobody waits for ever, and
/// the others are served. (34)
pub fn two_who_only_send_do_not_block_each_other(chat: &Chat) {
    let server: Server = chat.server();
    let pushers: Vec<_> = (0..2).map(|_| greeted(server.addr).0).collect();
    let mut pair = chat.pair_on(server);
    let line = format!("{}\n", "x".repeat(999));
    let pushing: Vec<_> = pushers
        .into_iter()
        .map(|mut stream| {
            let chunk = line.repeat(100);
            thread::spawn(move || {
                stream.set_write_timeout(Some(Duration::from_secs(10))).expect("open");
                for _ in 0..200 {
                    if let Err(error) = stream.write_all(chunk.as_bytes()) {
                        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "stuck");
                        break;
                    }
                }
                // What it is sent, up to the end of what is queued, or to its own end.
                stream.set_read_timeout(Some(Duration::from_secs(1))).expect("open");
                let _ = stream.read_to_end(&mut Vec::new());
            })
        })
        .collect();
    let said = Instant::now();
    let heard = pair.heard_as("still there?");
    pair.speaker.say("still there?");
    pair.ears().until(&heard, |line| line == heard);
    assert!(said.elapsed() < Duration::from_secs(2), "{:?}", said.elapsed());
    for pusher in pushing {
        pusher.join().expect("no panic");
    }
    pair.speaker.say("after all");
    let heard = pair.heard_as("after all");
    pair.ears().until(&heard, |line| line == heard);
}
