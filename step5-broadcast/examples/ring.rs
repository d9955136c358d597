//! The room on `tokio::sync::broadcast`, as many tutorials build it: one task per client, and one
//! ring of lines that all tasks read.
//!
//! What the ring gives: each line exists once, and no client has a queue of its own. `send` never
//! waits, so no client can hold up the room, and the ring bounds the memory. What it costs:
//!
//! - *The slowest reader decides.* The ring overwrites a line whether or not every client has
//!   received it. A ring of N lines loses lines when a client is N lines behind; a larger N costs
//!   memory. A sender on the same thread can write more than N lines before any other task runs. So
//!   even a client that reads as fast as it can loses lines in a flood.
//! - *`Lagged(n)` counts messages of the ring.* A client's own lines are among them, so n is not
//!   the number of lines that it missed. Here, as in the tutorials, the client gets no notice at all.
//! - *The ring knows no recipients.* A client receives its own lines, too, and has to drop them. A
//!   private message would need a second channel. The client's own task writes the replies. Neither
//!   has an order with the lines of the ring.
//! - *A task that writes does not read.* It awaits `write_all` in the body of `select!`. While the
//!   socket of its client is full, the server reads nothing from this client, not even `/exit`.
//!
//! ```sh
//! cargo run -p step5-broadcast --example ring server 127.0.0.1:8080
//! cargo run -p step5-broadcast --example ring client 127.0.0.1:8080
//! ```

use std::sync::Arc;
use std::{env, io};

use common::{Input, Line, LineDecoder, LineError, MAX_TEXT};
use step5_broadcast::client;
use step5_broadcast::console::Console;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::RecvError;

/// How many lines the ring holds.
const LINES: usize = 1024;

/// A line of the room with its author. All receivers share the text.
type Message = (u64, Arc<str>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args: Vec<_> = env::args().collect();
    match args[1].as_str() {
        "server" => server(&args[2]).await,
        _ => {
            let stream = TcpStream::connect(&args[2]).await?;
            client::run(stream, Console::open(io::stdin(), io::stdout())?, None).await
        }
    }
}

async fn server(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    let room = Sender::new(LINES);
    let mut id = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        id += 1;
        let client = Client { id, name: format!("guest-{id}"), room: room.clone() };
        tokio::spawn(async move {
            // An error is a lost connection: the client has left either way.
            let _ = client.serve(stream).await;
            client.send(Line::Notice(&format!("{} left", client.name)));
        });
    }
}

struct Client {
    id: u64,
    name: String,
    room: Sender<Message>,
}

/// A rendered line with its end.
fn render(line: Line<'_>) -> String {
    format!("{line}\n")
}

impl Client {
    /// Sends a line to the room. Never waits.
    fn send(&self, line: Line<'_>) {
        // Fails if no client is connected.
        let _ = self.room.send((self.id, render(line).into()));
    }

    /// Serves the client until it leaves.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        // From here on, the ring keeps the room's lines for this client, as long as they fit.
        let mut received = self.room.subscribe();
        let greeting = render(Line::Notice(&format!("you are {}", self.name)))
            + &render(Line::Notice("you are in lobby"));
        stream.write_all(greeting.as_bytes()).await?;
        self.send(Line::Notice(&format!("{} joined", self.name)));
        let mut decoder = LineDecoder::for_telnet(MAX_TEXT);
        let mut buf = [0; 4096];
        let mut open = true;
        while open {
            select! {
                n = stream.read(&mut buf) => {
                    let n = n?;
                    let lines = match n {
                        0 => decoder.finish(),
                        n => decoder.feed(&buf[..n]),
                    };
                    let (replies, go_on) = self.obey(lines);
                    open = go_on && n > 0;
                    stream.write_all(replies.as_bytes()).await?;
                }
                message = received.recv() => match message {
                    Ok((author, _)) if author == self.id => {}
                    Ok((_, line)) => stream.write_all(line.as_bytes()).await?,
                    // The ring has overwritten lines that this client has not received. It goes on
                    // with the oldest line of the ring.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => open = false,
                },
            }
        }
        stream.write_all(render(Line::Notice("goodbye")).as_bytes()).await
    }

    /// Carries out the lines of one read. Returns the replies, and whether the client stays.
    fn obey(&self, lines: impl Iterator<Item = Result<String, LineError>>) -> (String, bool) {
        let mut replies = String::new();
        for line in lines {
            let error = match &line {
                Ok(line) => match Input::parse(line) {
                    Input::Exit => return (replies, false),
                    Input::Blank => continue,
                    Input::Text(text) => {
                        self.send(Line::Said { name: &self.name, text });
                        continue;
                    }
                    Input::Command { .. } => format!("unknown command: {line}"),
                },
                Err(error) => error.to_string(),
            };
            replies += &render(Line::Error(&error));
            if line == Err(LineError::Unterminated) {
                return (replies, false);
            }
        }
        (replies, true)
    }
}
