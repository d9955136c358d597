//! The version that most people write first, in a fraction of the lines. It works, as long as all
//! clients behave. `tests/roads.rs` says which promises of the step it breaks, and why.
//!
//! ```sh
//! cargo run -p step3-multiclient --example naive_threads server 127.0.0.1:8080
//! cargo run -p step3-multiclient --example naive_threads client 127.0.0.1:8080
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{env, thread};

type Clients = Arc<Mutex<Vec<(usize, TcpStream)>>>;

fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().collect();
    match args[1].as_str() {
        "server" => server(&args[2]),
        _ => client(&args[2]),
    }
}

fn server(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    eprintln!("listening on {}", listener.local_addr()?);
    let clients = Clients::default();
    for (n, stream) in listener.incoming().enumerate() {
        let (stream, clients) = (stream?, clients.clone());
        thread::spawn(move || serve(n + 1, stream, &clients).unwrap());
    }
    Ok(())
}

fn serve(id: usize, mut stream: TcpStream, clients: &Clients) -> io::Result<()> {
    writeln!(stream, "* you are client-{id}")?;
    broadcast(clients, id, &format!("* client-{id} joined"))?;
    clients.lock().unwrap().push((id, stream.try_clone()?));
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line == "/exit" {
            break;
        } else if line.starts_with('/') {
            writeln!(stream, "! unknown command: {line}")?;
        } else {
            broadcast(clients, id, &format!("client-{id}: {line}"))?;
        }
    }
    clients.lock().unwrap().retain(|(other, _)| *other != id);
    writeln!(stream, "* goodbye")?;
    broadcast(clients, id, &format!("* client-{id} left"))
}

fn broadcast(clients: &Clients, from: usize, line: &str) -> io::Result<()> {
    println!("{line}");
    for (id, stream) in clients.lock().unwrap().iter_mut() {
        if *id != from {
            writeln!(stream, "{line}")?;
        }
    }
    Ok(())
}

fn client(addr: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    let lines = BufReader::new(stream.try_clone()?).lines();
    thread::spawn(|| lines.for_each(|line| println!("{}", line.unwrap())));
    for line in io::stdin().lines() {
        writeln!(stream, "{}", line?)?;
    }
    Ok(())
}
