//! The OS's figures about a process. They exist on Linux only; elsewhere each is `None`.

use std::thread;
use std::time::Duration;

/// Resident memory, in bytes.
pub fn memory(pid: u32) -> Option<usize> {
    Some(status(pid, "VmRSS:")? * 1024)
}

/// Peak resident memory so far, in bytes.
pub fn peak_memory(pid: u32) -> Option<usize> {
    Some(status(pid, "VmHWM:")? * 1024)
}

/// The number of threads.
pub fn threads(pid: u32) -> Option<usize> {
    status(pid, "Threads:")
}

/// The number of open file descriptors.
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Processor time used so far, in ticks of 10 ms.
pub fn ticks(pid: u32) -> Option<usize> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let times = fields.skip(11).take(2).map(|ticks| ticks.parse::<usize>());
    times.sum::<Result<_, _>>().ok()
}

/// Processor time used during the next `time`, in ticks of 10 ms. Linux only.
pub fn ticks_in(pid: u32, time: Duration) -> usize {
    let used = || ticks(pid).expect("a process on Linux");
    let before = used();
    thread::sleep(time);
    used() - before
}

fn status(pid: u32, field: &str) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Raises the file-descriptor limit of this process and its children to the OS's maximum.
#[cfg(unix)]
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If the limit stays too low, opening a descriptor fails later and reports the cause.
    let _ = setrlimit(Resource::Nofile, limit);
}
