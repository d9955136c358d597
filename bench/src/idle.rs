//! What a connection costs while nothing happens.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::Context;
use testkit::system;

use crate::server::{SERVERS, Server};

/// Measures each step at its sizes and prints a table.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:10} {:>11} {:>9} {:>18}",
        "", "connections", "threads", "KiB a connection"
    )?;
    for (name, program, args) in SERVERS.iter().filter(|server| server.1 != "bench") {
        let sizes: &[usize] = match *name {
            "step 3" => &[100, 999],
            _ => &[100, 1000, 9999],
        };
        for &size in sizes {
            let server = Server::start(program, args)?;
            let before = system::memory(server.pid()).context("only Linux tells")?;
            let mut crowd = Vec::with_capacity(size);
            while crowd.len() < size {
                for _ in 0..100.min(size - crowd.len()) {
                    crowd.push(TcpStream::connect(server.addr)?);
                }
                greeted(crowd.last().context("a crowd")?)?;
            }
            settled(server.addr)?;
            let used = system::memory(server.pid()).context("a process")? - before;
            let threads = system::threads(server.pid()).context("a process")?;
            let each = used as f64 / 1024.0 / size as f64;
            writeln!(out, "{name:10} {size:>11} {threads:>9} {each:>18.1}")?;
        }
    }
    Ok(())
}

fn greeted(stream: &TcpStream) -> anyhow::Result<()> {
    let mut line = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    BufReader::new(stream).read_line(&mut line)?;
    anyhow::ensure!(line.starts_with("* you are "), "greeted with {line:?}");
    Ok(())
}

/// An answer to somebody new: everything before it has been dealt with.
fn settled(addr: std::net::SocketAddr) -> anyhow::Result<()> {
    let mut last = TcpStream::connect(addr)?;
    last.write_all(b"/no-such-command\n")?;
    let lines = BufReader::new(last).lines();
    for line in lines {
        if line?.starts_with("! ") {
            return Ok(());
        }
    }
    anyhow::bail!("cut off")
}
