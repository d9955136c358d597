//! The version that most people write first, in a fraction of the lines. It works, as long as both
//! sides behave. `tests/roads.rs` says which promises of the step it breaks, and why.
//!
//! ```sh
//! cargo run -p step2-tcp --example naive_tcp server 127.0.0.1:8080
//! cargo run -p step2-tcp --example naive_tcp client 127.0.0.1:8080
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, thread};

fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().collect();
    let stream = match args[1].as_str() {
        "server" => {
            let listener = TcpListener::bind(&args[2])?;
            eprintln!("listening on {}", listener.local_addr()?);
            let (stream, _) = listener.accept()?;
            stream
        }
        _ => TcpStream::connect(&args[2])?,
    };
    let mut socket = stream.try_clone()?;
    let writer = thread::spawn(move || {
        for line in io::stdin().lines() {
            let line = line.unwrap();
            writeln!(socket, "{line}").unwrap();
            if line == "/exit" {
                break;
            }
        }
    });
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line == "/exit" {
            break;
        }
        println!("peer: {line}");
    }
    writer.join().unwrap();
    Ok(())
}
