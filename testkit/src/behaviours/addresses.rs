//! Addresses on the command line and in the help (rows 59, 60).

use std::net::TcpListener;

use crate::{Chat, End, Process};

/// The example that error messages and the help show.
const EXAMPLE: &str = "127.0.0.1:8080";

/// Runs the program until it ends. Returns its exit code, stdout and stderr.
fn run(chat: &Chat, args: &[&str]) -> (i32, String, String) {
    let mut process = Process::start(&mut chat.command(args), End::Null, End::Piped);
    let code = process.exit();
    let stdout = process.stdout.rest().join("\n");
    (code, stdout, process.stderr_text())
}

/// A malformed address ends the program with one line that shows the expected form. (59)
pub fn a_malformed_address_shows_the_form(chat: &Chat) {
    let wanted = format!("expected HOST:PORT, for example {EXAMPLE}");
    for side in ["server", "client"] {
        for addr in [
            "127.0.0.1",
            "localhost",
            ":8080",
            "8080",
            "http://127.0.0.1:8080",
            "::1",
            "[::1]",
            "127.0.0.1:",
            "127.0.0.1:99999",
            "",
        ] {
            let (code, stdout, stderr) = run(chat, &[side, addr]);
            assert_eq!(code, 1, "{side} {addr:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{side} {addr:?}: {stderr}");
            assert!(stderr.contains(&wanted), "{side} {addr:?}: {stderr}");
            assert_eq!(stdout, "", "{side} {addr:?}");
        }
    }
}

/// A well-formed address that cannot be used ends the program with the OS's error. (59)
pub fn an_unusable_address_reports_the_os_error(chat: &Chat) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("open").to_string();
    let in_use = run(chat, &["server", &addr]);
    drop(taken);
    let refused = run(chat, &["client", &addr]);
    for (code, _, stderr) in [in_use, refused] {
        assert_eq!(code, 1, "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(&addr), "{stderr}");
        assert!(!stderr.contains("HOST:PORT"), "{stderr}");
    }
}

/// The help of the program and of both commands shows the default address. (60)
pub fn help_shows_the_default_address(chat: &Chat) {
    for args in [&["-h"][..], &["server", "-h"], &["client", "-h"]] {
        let (code, stdout, stderr) = run(chat, args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        assert!(stdout.contains(EXAMPLE), "{args:?}: {stdout}");
    }
}
