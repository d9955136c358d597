//! The servers that are measured.

use std::env;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::process::Process;

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

impl Own {
    /// Starts it with its arguments and these.
    pub(crate) fn start(&self, more: &[&str]) -> anyhow::Result<Server> {
        let path = env::current_exe()?.with_file_name(self.program);
        Server::start(path.as_os_str(), &[self.args, more].concat())
    }
}

/// The bare epoll loop.
pub(crate) const BASELINE: Own =
    Own { name: "baseline", program: "bench", args: &["baseline", "127.0.0.1:0"], most: 10_000 };

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

/// The step whose nodes a relay joins: with one address, a node that has no other to talk to.
pub(crate) const STEP6: Own = Own {
    name: "step 6",
    program: "step6-cluster",
    args: &["server", "127.0.0.1:0", "--max-clients", "10100", "--rate", "0"],
    most: 10_000,
};

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
            Self::Own(own) => own.start(&[]),
            Self::Program(path) => Server::start(path.as_os_str(), &["server", "127.0.0.1:0"]),
            Self::Running(addr) => Ok(Server { addr: *addr, far: *addr, processes: Vec::new() }),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// Where clients connect to another node of the server; `addr`, if it has only one.
    pub(crate) far: SocketAddr,
    /// The processes that bench has started for it.
    pub(crate) processes: Vec<Process>,
}

impl Server {
    /// Starts `program`, and waits until it listens on each address in `args`.
    fn start(program: &OsStr, args: &[&str]) -> anyhow::Result<Self> {
        let listeners = args.iter().filter(|arg| arg.parse::<SocketAddr>().is_ok()).count();
        let (process, addrs) = Process::start(program, args, listeners)?;
        Ok(Self { addr: addrs[0], far: addrs[listeners - 1], processes: vec![process] })
    }

    /// Where the senders connect, and where the receivers do.
    pub(crate) fn ends(&self) -> [SocketAddr; 2] {
        [self.addr, self.far]
    }

    /// The ids of its processes, as far as bench has started them.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }
}
