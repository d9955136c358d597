//! The servers that are measured.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use anyhow::{Context, anyhow};
use clap::Args;

/// The servers to measure: the steps, unless the command line names another.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Targets {
    /// Measure only the steps whose name contains this: `5`
    #[arg(long)]
    only: Option<String>,
    /// Measure a server that already runs, instead of the steps
    #[arg(long)]
    addr: Option<SocketAddr>,
    /// Measure executables that are started as `PROGRAM server 127.0.0.1:0`, instead of the steps
    #[arg(long, value_delimiter = ',')]
    program: Vec<PathBuf>,
}

impl Targets {
    /// The servers to measure.
    pub(crate) fn list(&self) -> Vec<Target> {
        if let Some(addr) = self.addr {
            return vec![Target::Running(addr)];
        }
        if !self.program.is_empty() {
            return self.program.iter().cloned().map(Target::Program).collect();
        }
        let only = self.only.as_deref().unwrap_or_default();
        let chosen = STEPS.iter().filter(|step| step.name.contains(only));
        chosen.map(Target::Own).collect()
    }

    /// The baseline, then the servers to measure.
    pub(crate) fn with_baseline(&self) -> Vec<Target> {
        let mut targets = vec![Target::Own(&BASELINE)];
        targets.append(&mut self.list());
        targets
    }
}

/// A program that was built beside this one.
#[derive(Debug)]
pub(crate) struct Own {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    /// The most receivers it is measured with.
    most: usize,
}

/// The bare epoll loop.
pub(crate) const BASELINE: Own =
    Own { name: "baseline", program: "bench", args: &["baseline"], most: 10_000 };

/// The steps that serve many clients. `--max-clients` leaves slots for the senders, beside 1,000 or
/// 10,000 receivers.
pub(crate) const STEPS: [Own; 3] = [
    Own {
        name: "step 3",
        program: "step3-multiclient",
        args: &["server", "127.0.0.1:0", "--max-clients", "1100"],
        most: 1_000,
    },
    Own {
        name: "step 4",
        program: "step4-tokio",
        args: &["server", "127.0.0.1:0", "--max-clients", "10100"],
        most: 10_000,
    },
    Own {
        name: "step 5",
        program: "step5-broadcast",
        args: &["server", "127.0.0.1:0", "--max-clients", "10100", "--rate", "0"],
        most: 10_000,
    },
];

/// A server to measure.
#[derive(Debug)]
pub(crate) enum Target {
    Own(&'static Own),
    Program(PathBuf),
    Running(SocketAddr),
}

impl Target {
    /// The name of its row.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Own(own) => own.name.into(),
            Self::Program(path) => path.file_name().unwrap_or_default().display().to_string(),
            Self::Running(addr) => addr.to_string(),
        }
    }

    /// Those of `sizes` that it serves.
    pub(crate) fn sizes(&self, sizes: &[usize]) -> Vec<usize> {
        let most = match self {
            Self::Own(own) => own.most,
            Self::Program(_) | Self::Running(_) => usize::MAX,
        };
        sizes.iter().copied().filter(|size| *size <= most).collect()
    }

    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        match self {
            Self::Own(own) => {
                let path = env::current_exe()?.with_file_name(own.program);
                Server::start(path.as_os_str(), own.args)
            }
            Self::Program(path) => Server::start(path.as_os_str(), &["server", "127.0.0.1:0"]),
            Self::Running(addr) => Ok(Server { addr: *addr, child: None }),
        }
    }
}

/// A running server. If bench started it, it is killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts `program` and waits until it listens.
    fn start(program: &OsStr, args: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let mut server = Self { addr: SocketAddr::from(([127, 0, 0, 1], 0)), child: Some(child) };
        let mut stderr = BufReader::new(stderr);
        let mut status = String::new();
        stderr.read_line(&mut status)?;
        // Read on: a full pipe could block the server.
        thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        let addr = status.trim().strip_prefix("listening on ");
        server.addr = addr
            .and_then(|addr| addr.parse().ok())
            .ok_or_else(|| anyhow!("{} printed {status:?}", program.display()))?;
        Ok(server)
    }

    /// Its process, if bench started it.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails if the server has already ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
