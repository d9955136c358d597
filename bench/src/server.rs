use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, anyhow};

/// A program that is measured. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    child: Child,
}

/// What there is to measure: a name, a program beside this one, and its arguments.
pub(crate) const SERVERS: [(&str, &str, &[&str]); 4] = [
    ("yardstick", "bench", &["yardstick"]),
    ("step 3", "step3-multiclient", &["server", "127.0.0.1:0"]),
    ("step 4", "step4-tokio", &["server", "127.0.0.1:0"]),
    (
        "step 5",
        "step5-broadcast",
        &["server", "127.0.0.1:0", "--rate", "0"],
    ),
];

impl Server {
    /// Starts `program`, which was built beside this one, and waits until it listens.
    pub(crate) fn start(program: &str, args: &[&str]) -> anyhow::Result<Self> {
        let path: PathBuf = env::current_exe()?.with_file_name(program);
        let mut child = Command::new(&path)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", path.display()))?;
        let stderr = child.stderr.take().context("a pipe")?;
        let mut stderr = BufReader::new(stderr);
        let mut status = String::new();
        stderr.read_line(&mut status)?;
        // A pipe that nobody reads could hold the server up.
        thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        let addr = status.trim().strip_prefix("listening on ");
        let addr = addr.and_then(|addr| addr.parse().ok());
        let addr = addr.ok_or_else(|| anyhow!("{program} says {status:?}"))?;
        Ok(Self { addr, child })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
