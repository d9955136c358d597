//! The processes that bench starts.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, anyhow};

/// A running process. It is killed on drop.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `program`, and waits until it listens on `listeners` addresses.
    pub(crate) fn start(
        program: &OsStr,
        args: &[&str],
        listeners: usize,
    ) -> anyhow::Result<(Self, Vec<SocketAddr>)> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let process = Self(child);
        let mut stderr = BufReader::new(stderr);
        let addrs = addresses(&mut stderr, listeners)
            .map_err(|printed| anyhow!("{} printed {printed:?}", program.display()))?;
        // Read on: a full pipe could block the process.
        thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        Ok((process, addrs))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a status until it reports so many addresses: `listening on 127.0.0.1:8080`, or a log line
/// of nats-server. The error is what was read instead.
fn addresses(status: impl BufRead, listeners: usize) -> Result<Vec<SocketAddr>, String> {
    let (mut addrs, mut printed) = (Vec::new(), Vec::new());
    let mut lines = status.lines();
    while addrs.len() < listeners {
        let Some(Ok(line)) = lines.next() else { return Err(printed.join("\n")) };
        let addr = line.rsplit_once("istening ").and_then(|(_, rest)| rest.rsplit_once("on "));
        addrs.extend(addr.and_then(|(_, addr)| addr.parse::<SocketAddr>().ok()));
        printed.push(line);
    }
    Ok(addrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATS: &str = "[7] 2026/11/28 05:19:37 [INF] Starting nats-server
[7] 2026/11/28 05:19:37 [INF] Listening for client connections on 127.0.0.1:39253
[7] 2026/11/28 05:19:37 [INF] Server is ready
";

    #[test]
    fn the_addresses_of_all_listeners_are_found() {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let steps = "listening on 127.0.0.1:1\nlistening on 127.0.0.1:2\n";
        assert_eq!(addresses(steps.as_bytes(), 2), Ok(vec![addr(1), addr(2)]));
        assert_eq!(addresses(NATS.as_bytes(), 1), Ok(vec![addr(39253)]));
    }

    #[test]
    fn a_program_that_does_not_listen_is_quoted() {
        let error = "error: cannot listen on 127.0.0.1:80: permission denied";
        assert_eq!(addresses(error.as_bytes(), 1), Err(error.into()));
        assert_eq!(
            addresses(&b"listening on 127.0.0.1:1\n"[..], 2).unwrap_err().lines().count(),
            1
        );
    }
}
