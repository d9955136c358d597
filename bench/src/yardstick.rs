//! The bare loop: one thread, one epoll, no lines, no names, no hub.
//!
//! Whatever all clients have sent since the last wake-up is written to every client once. That is
//! about as little as a server can do, so it is what the steps are measured against.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

use anyhow::Context;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const LISTENER: Token = Token(0);

/// How much is read from one client in one wake-up.
const READ: usize = 16 * 1024;

struct Client {
    stream: TcpStream,
    /// What its socket did not take at once.
    pending: Vec<u8>,
}

/// Serves until the process is killed.
pub(crate) fn run(addr: SocketAddr) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(addr).with_context(|| format!("cannot bind {addr}"))?;
    let registry = poll.registry();
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;
    let mut clients = HashMap::new();
    let mut next = LISTENER.0;
    let mut events = Events::with_capacity(1024);
    let mut readable = Vec::new();
    let mut batch = Vec::new();
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
                    if event.is_readable() {
                        readable.push(token);
                    }
                }
            }
        }
        // Nobody is read while somebody is behind: that is all the backpressure there is. Sockets
        // are edge-triggered, so whoever was readable is remembered.
        while !readable.is_empty() && clients.values().all(|client| client.pending.is_empty()) {
            readable.retain(|token| hear(&mut clients, *token, &mut batch));
            for client in clients.values_mut() {
                write(client, &batch);
            }
            batch.clear();
        }
    }
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
                clients.insert(token, Client { stream, pending });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Appends what a client says to `batch`. Whether there may be more.
fn hear(clients: &mut HashMap<Token, Client>, token: Token, batch: &mut Vec<u8>) -> bool {
    let Some(client) = clients.get_mut(&token) else {
        return false;
    };
    let mut buf = [0; READ];
    match client.stream.read(&mut buf) {
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
            // The read side learns of it.
            Err(_) => return,
        }
    }
}
