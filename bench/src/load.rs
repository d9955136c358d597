//! Rooms in which a few clients send as fast as a window allows, and many receive.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::system;

use crate::crowd::Crowd;
use crate::missed::Missed;
use crate::server::Server;
use crate::window::Room;

/// Ends each line of ours. Neither names nor notices have it, so only chat lines are counted.
const MARK: u8 = b'~';

/// The most bytes that a sender is given at once.
const CHUNK: usize = 1 << 20;

/// After this time without a delivery, nothing more is expected. It is longer than the 2 s after
/// which a node of step 6 at the latest publishes how many lines there were.
const SILENCE: Duration = Duration::from_secs(3);

/// The shape of a load.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    /// The number of rooms that they are spread over; none: all stay where they are.
    pub(crate) rooms: Option<usize>,
    /// Lines in flight in each room.
    pub(crate) window: u64,
    /// Bytes of a line, with its LF.
    pub(crate) length: usize,
}

/// What a load has measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Deliveries per second.
    pub(crate) rate: f64,
    /// CPU seconds of the server per delivery.
    pub(crate) cpu: f64,
    /// Lines that clients which stayed connected did not receive; not a number if lines were still
    /// arriving when the measurement gave up.
    pub(crate) lost: f64,
    /// How many of them the server has reported to the clients: `! missed N lines`.
    pub(crate) told: f64,
    /// Clients that the server disconnected although they read all the time.
    pub(crate) disconnected: f64,
    /// The most memory of the server, in bytes.
    pub(crate) peak: f64,
}

/// A load while it runs.
#[derive(Debug)]
pub(crate) struct Load {
    shape: Shape,
    /// The senders first.
    pub(crate) crowd: Crowd,
    rooms: Vec<Room>,
    /// Lines that each client has received.
    lines: Vec<u64>,
    /// Lines that each client has been told it missed.
    missed: Vec<Missed>,
    /// Bytes that each sender has yet to send; none if it is disconnected.
    unsent: Vec<Option<usize>>,
    /// Lines, one after the other, to send from.
    chunk: Vec<u8>,
    last_read: Instant,
}

impl Load {
    /// Connects the senders to the first address and the receivers to the second, lets them join
    /// their rooms, and waits until it is quiet.
    pub(crate) fn connect([near, far]: [SocketAddr; 2], shape: &Shape) -> anyhow::Result<Self> {
        let mut line = vec![b'x'; shape.length.max(2)];
        let end = line.len() - 2;
        line[end..].copy_from_slice(&[MARK, b'\n']);
        let clients = shape.senders + shape.receivers;
        let addrs = [vec![near; shape.senders], vec![far; shape.receivers]].concat();
        let mut load = Self {
            crowd: Crowd::connect(&addrs)?,
            rooms: vec![Room::default(); shape.rooms.unwrap_or(1)],
            lines: vec![0; clients],
            missed: vec![Missed::default(); clients],
            unsent: vec![Some(0); shape.senders],
            chunk: line.repeat(CHUNK / line.len() + 1),
            shape: Shape { length: line.len(), ..shape.clone() },
            last_read: Instant::now(),
        };
        for n in 0..clients {
            let room = load.room(n);
            match n < shape.senders {
                true => load.rooms[room].senders += 1,
                false => load.rooms[room].receivers += 1,
            }
            if shape.rooms.is_some() {
                // The buffer of a fresh socket has room for it.
                writeln!(load.crowd.streams[n], "/join room{room}").context("joining a room")?;
            }
        }
        load.crowd.settle()?;
        Ok(load)
    }

    /// The room of a client.
    fn room(&self, client: usize) -> usize {
        let first = match client < self.shape.senders {
            true => 0,
            false => self.shape.senders,
        };
        (client - first) % self.rooms.len()
    }

    /// Runs for `time`, after a warm-up, and until what was sent has arrived.
    pub(crate) fn measure(&mut self, server: &Server, time: Duration) -> anyhow::Result<Outcome> {
        self.talk(Duration::from_millis(300))?;
        let pids = server.pids();
        let ticks = || pids.iter().filter_map(|pid| system::ticks(*pid)).sum::<usize>();
        let (read, cpu, start) = (self.read(), ticks(), Instant::now());
        self.talk(time)?;
        let rate = (self.read() - read) as f64 / start.elapsed().as_secs_f64();
        let cpu = (ticks() - cpu) as f64 / 100.0 / (self.read() - read) as f64;
        let quiet = self.drain()?;
        let peak: Option<usize> = pids.iter().map(|pid| system::peak_memory(*pid)).sum();
        let peak = peak.filter(|_| !pids.is_empty());
        Ok(Outcome {
            rate,
            cpu,
            lost: if quiet { self.missing() as f64 } else { f64::NAN },
            told: self.told() as f64,
            disconnected: self.crowd.closed.len() as f64,
            peak: peak.map_or(f64::NAN, |bytes| bytes as f64),
        })
    }

    /// Sends and receives for `time`.
    pub(crate) fn talk(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.refill();
            self.send();
            self.turn()?;
        }
        Ok(())
    }

    /// Sends the rest, and receives until everything has arrived or is reported as missed, or
    /// until nothing arrives for [`SILENCE`]. Returns false if lines still arrive after 30 s: socket
    /// buffers hold many of them in an open flood.
    fn drain(&mut self) -> anyhow::Result<bool> {
        let end = Instant::now() + Duration::from_secs(30);
        self.last_read = Instant::now();
        let unsent = |load: &Self| load.unsent.iter().flatten().any(|unsent| *unsent > 0);
        while (unsent(self) || self.missing() > self.told()) && self.last_read.elapsed() < SILENCE {
            if Instant::now() > end {
                return Ok(false);
            }
            self.send();
            self.turn()?;
        }
        Ok(true)
    }

    /// All deliveries so far.
    fn read(&self) -> u64 {
        self.lines[self.shape.senders..].iter().sum()
    }

    /// Lines that connected receivers have yet to receive.
    fn missing(&self) -> u64 {
        self.rooms.iter().map(Room::missing).sum()
    }

    /// Those of them that the server has reported.
    fn told(&self) -> u64 {
        self.rooms.iter().map(|room| room.told).sum()
    }

    /// Gives the senders of each room what its window allows.
    fn refill(&mut self) {
        let (window, length) = (self.shape.window, self.shape.length);
        let stalled = self.last_read.elapsed() > SILENCE;
        if stalled {
            let write_off = |room: &mut Room| room.written_off += room.in_flight();
            self.rooms.iter_mut().for_each(write_off);
            self.last_read = Instant::now();
        }
        for n in 0..self.unsent.len() {
            let room = self.room(n);
            let room = &mut self.rooms[room];
            let free = window.saturating_sub(room.in_flight());
            // Few large pieces rather than many small ones.
            if self.unsent[n] == Some(0) && free >= (window / 8).max(1) {
                let share = free.div_ceil(room.senders.max(1));
                let share = share.min((CHUNK / length).max(1) as u64);
                room.sent += share;
                self.unsent[n] = Some(share as usize * length);
            }
        }
    }

    fn send(&mut self) {
        for n in 0..self.unsent.len() {
            let Some(unsent) = self.unsent[n].filter(|unsent| *unsent > 0) else { continue };
            // All lines are the same: what is left begins in the middle of one.
            let start = (self.shape.length - unsent % self.shape.length) % self.shape.length;
            let end = (start + unsent).min(self.chunk.len());
            match self.crowd.streams[n].write(&self.chunk[start..end]) {
                Ok(bytes) => self.unsent[n] = Some(unsent - bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The next read reports the client as disconnected.
                Err(_) => {}
            }
        }
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let mut closed = Vec::new();
        let (senders, rooms) = (self.shape.senders, self.rooms.len());
        self.crowd.turn(Duration::from_millis(10), |n, bytes| {
            if bytes.is_empty() {
                closed.push(n);
            } else if n >= senders {
                let lines = memchr::memchr_iter(MARK, bytes).count() as u64;
                self.lines[n] += lines;
                let room = &mut self.rooms[(n - senders) % rooms];
                room.read += lines;
                room.told += self.missed[n].read(bytes);
                self.last_read = Instant::now();
            }
        })?;
        closed.into_iter().for_each(|n| self.close(n));
        Ok(())
    }

    /// Expects no more of a client that is disconnected.
    fn close(&mut self, n: usize) {
        let room = self.room(n);
        let room = &mut self.rooms[room];
        if n >= self.shape.senders {
            room.receivers -= 1;
            room.read -= self.lines[n];
            room.told -= self.missed[n].lines;
        } else if let Some(unsent) = self.unsent[n].take() {
            room.senders -= 1;
            room.sent -= unsent.div_ceil(self.shape.length) as u64;
        }
    }
}
