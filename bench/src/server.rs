use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, anyhow};

/// A program that is measured. If it was started for that, it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    child: Option<Child>,
}

/// A name, a program beside this one, and its arguments.
pub(crate) type Own = (&'static str, &'static str, &'static [&'static str]);

/// What there is to measure.
#[derive(Debug)]
pub(crate) enum Target {
    Own(&'static Own),
    /// It runs already.
    Running(SocketAddr),
}

impl Target {
    /// The one that runs at `addr`, or else all steps that serve many.
    pub(crate) fn steps(addr: Option<SocketAddr>) -> Vec<Self> {
        match addr {
            Some(addr) => vec![Self::Running(addr)],
            None => SERVERS[1..].iter().map(Self::Own).collect(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Own((name, ..)) => name,
            Self::Running(_) => "the server",
        }
    }

    /// Step 3 takes no more than this many.
    pub(crate) fn most(&self) -> usize {
        match self.name() {
            "step 3" => 999,
            _ => 9_999,
        }
    }

    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        match *self {
            Self::Own((_, program, args)) => Server::start(program, args),
            Self::Running(addr) => Ok(Server { addr, child: None }),
        }
    }
}

/// The yardstick, and the steps that serve many.
pub(crate) const SERVERS: [Own; 4] = [
    ("yardstick", "bench", &["yardstick"]),
    ("step 3", "step3-multiclient", &["server", "127.0.0.1:0"]),
    ("step 4", "step4-tokio", &["server", "127.0.0.1:0"]),
    ("step 5", "step5-broadcast", &["server", "127.0.0.1:0", "--rate", "0"]),
];

impl Server {
    /// Starts `program`, which was built beside this one, and waits until it listens.
    fn start(program: &str, args: &[&str]) -> anyhow::Result<Self> {
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
        let child = Some(child);
        Ok(Self { addr, child })
    }

    /// Its process, if it was started for this.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails if it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
