//! Runs the commands of a task.

use std::io::{self, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How long the commands of a task may take, without building.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The arguments of cargo that build what `commands` run. A `cargo check` is not among them: it may
/// be there to fail.
pub(crate) fn builds(commands: &str) -> Vec<Vec<String>> {
    let mut builds = Vec::new();
    let verbs = [("build", "build"), ("run", "build"), ("test", "test --no-run")];
    for (verb, build) in verbs {
        for rest in commands.split(&format!("cargo {verb} ")).skip(1) {
            let mut args: Vec<_> = build.split(' ').map(str::to_owned).collect();
            let mut words = rest.split_whitespace();
            while let Some(word) = words.next()
                && word.len() > 1
                && word.starts_with('-')
                && word != "--"
            {
                args.push(word.into());
                if matches!(word, "-p" | "--example" | "--bin" | "--test") {
                    args.extend(words.next().map(str::to_owned));
                }
            }
            if !builds.contains(&args) {
                builds.push(args);
            }
        }
    }
    builds
}

/// Lets `bash` run `commands`, for at most `limit`. Returns everything that they print.
pub(crate) fn run(mut bash: Command, commands: &str, limit: Duration) -> Result<String, String> {
    let error = |error: io::Error| format!("cannot run bash: {error}");
    let (mut output, writer) = io::pipe().map_err(error)?;
    // As in a terminal, where bash replaces an unquoted `!`.
    let commands = format!("set -o history -o histexpand\n{commands}");
    bash.args(["-c", &commands]).process_group(0);
    bash.env_remove("RUST_BACKTRACE").env("LC_ALL", "C");
    bash.stdin(Stdio::null()).stdout(writer.try_clone().map_err(error)?).stderr(writer);
    let mut child = bash.spawn().map_err(error)?;
    // Closes this process's copies of the pipe.
    drop(bash);
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let end = output.read_to_end(&mut text);
        // Fails if the commands took too long.
        let _ = sender.send(end.map(|_| String::from_utf8_lossy(&text).into_owned()));
    });
    let ended = printed.recv_timeout(limit);
    // Fails if all of them have ended, as they should.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    match ended {
        Ok(text) => text.map_err(error),
        Err(_) => {
            let text = printed.recv_timeout(Duration::from_secs(5)).ok().and_then(Result::ok);
            Err(format!("not ended after {limit:?}:\n{}", text.unwrap_or_default()))
        }
    }
}

#[test]
fn options_of_cargo_run_select_what_is_built() {
    let commands = "cargo run -q -p a -- server 127.0.0.1:8080 &\n\
                    cargo run -q -p a -- client\n\
                    cargo run -q -p b --example c < x | cat\n\
                    cargo test -q -p b --test d name\n\
                    cargo build -q -p a\n\
                    cargo check -q -p e\n";
    let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let expected = ["build -q -p a", "build -q -p b --example c", "test --no-run -q -p b --test d"];
    assert_eq!(builds(commands), expected.map(args));
}

#[test]
fn both_outputs_are_returned() {
    let printed = run(Command::new("bash"), "echo one; echo two >&2; (echo three &)", LIMIT);
    assert_eq!(printed, Ok("one\ntwo\nthree\n".into()));
}

#[test]
fn commands_that_do_not_end_are_killed() {
    let commands = "echo one; sleep 600 & sleep 600";
    let error = run(Command::new("bash"), commands, Duration::from_secs(2)).unwrap_err();
    assert_eq!(error, "not ended after 2s:\none\n");
}
