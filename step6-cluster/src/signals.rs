//! SIGINT, SIGTERM, and SIGTTIN, which stops a server in the background.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::{env, process};

use tokio::select;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{ctrl_c, ctrl_close};
use tokio::sync::mpsc::{Receiver, channel};

/// Closes when it is time to end; it never carries a message.
pub type Shutdown = Receiver<Infallible>;

/// Closes the returned channel at the first SIGINT or SIGTERM. A second one ends the process at
/// once, with code 130.
///
/// # Errors
///
/// Handlers that could not be installed.
pub fn on_signal() -> io::Result<Shutdown> {
    let (shutdown, on_shutdown) = channel(1);
    let mut shutdown = Some(shutdown);
    #[cfg(unix)]
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    #[cfg(windows)]
    let (mut interrupt, mut terminate) = (ctrl_c()?, ctrl_close()?);
    tokio::spawn(async move {
        loop {
            select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.take().is_none() {
                process::exit(130);
            }
        }
    });
    Ok(on_shutdown)
}

/// Lets a server run in the background of a terminal (`server &`).
///
/// A process that reads the keyboard from the background is stopped with all its threads, by
/// SIGTTIN. If it ignores the signal, the read fails instead. std cannot ignore a signal, but a
/// shell can, and a program inherits that from the shell that executes it. So the program executes
/// itself once more, through a shell. It keeps its process id.
pub fn ignore_stops_in_background() {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        const DONE: &str = "CHAT_IGNORES_SIGTTIN";
        if io::stdin().is_terminal()
            && env::var_os(DONE).is_none()
            && let Ok(program) = env::current_exe()
        {
            // This only returns if it fails. Then the server still works in the foreground.
            let _ = process::Command::new("sh")
                .args(["-c", "trap '' TTIN TTOU; exec \"$0\" \"$@\""])
                .arg(program)
                .args(env::args_os().skip(1))
                .env(DONE, "1")
                .exec();
        }
    }
}
