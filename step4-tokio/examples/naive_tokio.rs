//! The version that most people write first, in a fraction of the lines. It works, as long as all
//! clients behave. `tests/roads.rs` says which promises of the step it breaks, and why.
//!
//! ```sh
//! cargo run -p step4-tokio --example naive_tokio server 127.0.0.1:8080
//! cargo run -p step4-tokio --example naive_tokio client 127.0.0.1:8080
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::{env, io};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

type Clients = Arc<Mutex<HashMap<u64, OwnedWriteHalf>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().collect();
    match args[1].as_str() {
        "server" => server(&args[2]).await,
        _ => client(&args[2]).await,
    }
}

async fn server(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    let clients = Clients::default();
    let mut id = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        id += 1;
        tokio::spawn(serve(id, stream, clients.clone()));
    }
}

async fn serve(id: u64, stream: TcpStream, clients: Clients) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    output.write_all(format!("* you are client-{id}\n").as_bytes()).await?;
    clients.lock().await.insert(id, output);
    broadcast(&clients, id, format!("* client-{id} joined\n")).await?;
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "/exit" {
            break;
        } else if line.starts_with('/') {
            let error = format!("! unknown command: {line}\n");
            clients.lock().await.get_mut(&id).unwrap().write_all(error.as_bytes()).await?;
        } else {
            broadcast(&clients, id, format!("client-{id}: {line}\n")).await?;
        }
    }
    let mut output = clients.lock().await.remove(&id).unwrap();
    output.write_all(b"* goodbye\n").await?;
    broadcast(&clients, id, format!("* client-{id} left\n")).await
}

async fn broadcast(clients: &Clients, author: u64, line: String) -> io::Result<()> {
    for (id, output) in clients.lock().await.iter_mut() {
        if *id != author {
            output.write_all(line.as_bytes()).await?;
        }
    }
    Ok(())
}

async fn client(addr: &str) -> io::Result<()> {
    let (input, mut output) = TcpStream::connect(addr).await?.into_split();
    tokio::spawn(async {
        let mut lines = BufReader::new(input).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            println!("{line}");
        }
    });
    let mut typed = BufReader::new(stdin()).lines();
    while let Some(line) = typed.next_line().await? {
        output.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}
