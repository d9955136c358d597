//! The baseline: a bare epoll loop on one thread. It has no lines, no names, no hub.
//!
//! It reads all that has arrived and writes it to every client once, so it does about as little as
//! a server can. It differs from the steps in two ways: a line comes back to its sender too, and no
//! name makes it longer.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::Context;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

const LISTENER: Token = Token(0);

/// Bytes of one read, and what a batch may exceed by one read at most. With 16 KiB the loop is half as fast: small reads make small writes.
const READ: usize = 256 * 1024;

struct Client {
    stream: TcpStream,
    /// Bytes that its socket did not take at once.
    pending: Vec<u8>,
}

/// Serves until the process is killed.
pub(crate) fn run(addr: SocketAddr) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = listen(addr).with_context(|| format!("cannot bind {addr}"))?;
    let registry = poll.registry();
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;
    let mut clients = HashMap::new();
    let mut next = LISTENER.0;
    let mut events = Events::with_capacity(1024);
    let mut readable = VecDeque::new();
    let (mut buf, mut batch) = (vec![0; READ], Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => accept(&listener, &poll, &mut clients, &mut next)?,
                token => {
                    if event.is_writable()
                        && let Some(client) = clients.get_mut(&token)
                    {
                        let pending = std::mem::take(&mut client.pending);
                        write(client, &pending);
                    }
                    if event.is_readable() && !readable.contains(&token) {
                        readable.push_back(token);
                    }
                }
            }
        }
        // The whole of the backpressure: while a client has bytes pending, no client is read.
        // Sockets are edge-triggered, so `readable` keeps those that may have more.
        while !readable.is_empty() && clients.values().all(|client| client.pending.is_empty()) {
            while batch.len() < READ
                && let Some(token) = readable.pop_front()
            {
                if read(&mut clients, token, &mut buf, &mut batch) {
                    readable.push_back(token);
                }
            }
            for client in clients.values_mut() {
                write(client, &batch);
            }
            batch.clear();
        }
    }
}

/// A listener with the backlog of the steps, where mio's own would be 1,024.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut HashMap<Token, Client>,
    next: &mut usize,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                *next += 1;
                let token = Token(*next);
                stream.set_nodelay(true)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, token, interest)?;
                let pending = Vec::new();
                let client = clients.entry(token).or_insert(Client { stream, pending });
                write(client, b"* you are nobody\n");
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Appends what a client has sent to `batch`. Returns whether the socket may have more.
fn read(
    clients: &mut HashMap<Token, Client>,
    token: Token,
    buf: &mut [u8],
    batch: &mut Vec<u8>,
) -> bool {
    let Some(client) = clients.get_mut(&token) else {
        return false;
    };
    match client.stream.read(buf) {
        Ok(n @ 1..) => {
            batch.extend_from_slice(&buf[..n]);
            true
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Ok(0..) | Err(_) => {
            clients.remove(&token);
            false
        }
    }
}

/// Writes what the socket takes; the rest is pending.
fn write(client: &mut Client, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match client.stream.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                client.pending.extend_from_slice(bytes);
                return;
            }
            // The next read of this client reports the error.
            Err(_) => return,
        }
    }
}
