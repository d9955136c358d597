//! The options of a server in a cluster.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use testkit::{Cluster, End, Nats, Process};

use super::chat;

/// How long a server may try to reach its relay when it starts.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a server that is expected to fail. Returns its exit code and its stderr.
fn run(args: &[&str]) -> (i32, String) {
    let args = [&["server"], args].concat();
    let mut process = Process::start(&mut chat().command(&args), End::Null, End::Piped);
    (process.exit_within(LIMIT), process.stderr_text())
}

#[test]
fn bad_options_exit_with_2() {
    let relay = ["--relay", "nats://127.0.0.1:4222"];
    let any = "127.0.0.1:0";
    for args in [
        &[any, relay[0], relay[1]][..],
        &[any, "--node", "b"],
        &[any, "--creds", "file"],
        &[any, any, relay[0], relay[1], "--node", "b"],
        &[any, "--max-clients", "20001"],
        &vec![any; 27],
    ] {
        let (code, stderr) = run(args);
        assert_eq!(code, 2, "{args:?}: {stderr}");
    }
    for node in ["", "a@b", "1a", "a.b", "a b", "*", ">", "abcdefghijklmnopqrstu", "ä"] {
        let (code, stderr) = run(&[any, relay[0], relay[1], "--node", node]);
        assert_eq!(code, 2, "{node:?}: {stderr}");
    }
}

#[test]
fn one_process_has_up_to_26_nodes() {
    let chat = chat();
    let cluster = Cluster::local(&chat, 26, &[]);
    let mut last = cluster.peer(25);
    let mut first = cluster.peer(0);
    last.send_line("hello");
    let hello = format!("{}@z: hello", last.name);
    first.lines.until(&hello, |line| line == hello);
}

#[test]
fn a_relay_that_cannot_be_reached_is_reported() {
    // A port on which nothing listens, one that never answers, and one that says something else.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = chat().server_with(&[]);
    for addr in [closed, silent.local_addr().unwrap(), server.addr] {
        let (code, stderr) =
            run(&["127.0.0.1:0", "--relay", &format!("nats://{addr}"), "--node", "b"]);
        println!("{stderr}");
        assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
        assert!(stderr.starts_with("error: cannot reach the relay"), "{stderr}");
    }
    let (_, stderr) = run(&["127.0.0.1:0", "--relay", "ann:secret@no-host.invalid", "--node", "b"]);
    assert!(stderr.contains("no-host.invalid:4222") && !stderr.contains("secret"), "{stderr}");
    for url in [
        "",
        "127.0.0.1",
        "http://127.0.0.1:4222",
        "nats://",
        "nats://no such host",
        "nats://no-such-host.invalid",
        "ws://ann:secret@127.0.0.1:4222",
        "wss://ann:secret@127.0.0.1:4222",
    ] {
        let (code, stderr) = run(&["127.0.0.1:0", "--relay", url, "--node", "b"]);
        println!("{url}: {stderr}");
        assert_eq!((code, stderr.lines().count()), (1, 1), "{url}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[test]
fn a_bad_address_among_several_is_reported_by_name() {
    let (code, stderr) = run(&["127.0.0.1:0", "nonsense"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.starts_with("error: nonsense: expected HOST:PORT"), "{stderr}");
}

#[test]
fn a_server_that_connects_to_its_relay_ends_at_a_signal() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let args = ["server", "127.0.0.1:0", "--relay", &url, "--node", "b"];
    let mut process = Process::start(&mut chat().command(&args), End::Null, End::Piped);
    let _connection = silent.accept().unwrap();
    process.signal("INT");
    // Otherwise it would report the relay that does not answer, and exit with 1.
    assert_eq!((process.exit_within(LIMIT), process.stderr_text().as_str()), (0, ""));
}

#[test]
fn the_log_does_not_contain_the_password() {
    let Some(mut nats) = Nats::start_with(&["--user", "ann", "--pass", "secret"]) else { return };
    let url = format!("nats://ann:secret@{}", nats.addr());
    let args = ["server", "127.0.0.1:0", "--relay", &url, "--node", "b"];
    let mut command = chat().command(&args);
    let mut process = Process::start(command.env("RUST_LOG", "trace"), End::Piped, End::Piped);
    process.listening();
    nats.restart();
    process.stdout.until("the relay", |line| line == "* relay back");
    process.signal("TERM");
    assert_eq!(process.exit_within(LIMIT), 0);
    let log = process.stderr_text();
    assert!(log.contains("event: connected") && !log.contains("secret"), "{log}");
}

/// Plays a NATS server that sends `greeting` behind its first message, and `later` when the node has
/// subscribed. Returns the URL.
fn play_relay(greeting: &'static [u8], later: &'static [u8]) -> String {
    const INFO: &[u8] = b"INFO {\"server_id\":\"x\",\"server_name\":\"x\",\"version\":\"2.9.10\",\"go\":\"go\",\
        \"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\"proto\":1}\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        // Fails if the node has given up.
        let _ = stream.write_all(&[INFO, greeting].concat());
        for line in lines.map_while(Result::ok) {
            let reply = match line.split(' ').next() {
                Some("PING") => b"PONG\r\n",
                Some("SUB") => later,
                _ => continue,
            };
            let _ = stream.write_all(reply);
        }
    });
    url
}

#[test]
fn what_a_relay_says_cannot_control_the_terminal() {
    const ERROR: &[u8] = b"-ERR 'evil \x1b[31m\x07 \xe2\x80\xae'\r\n";
    let is_clean =
        |text: &str| text.contains("evil") && !text.contains(['\x1b', '\x07', '\u{202e}']);
    let url = play_relay(ERROR, b"");
    let (code, stderr) = run(&["127.0.0.1:0", "--relay", &url, "--node", "b"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(is_clean(&stderr), "{stderr:?}");
    let url = play_relay(b"", ERROR);
    let args = ["server", "127.0.0.1:0", "--relay", &url, "--node", "b"];
    let mut process = Process::start(&mut chat().command(&args), End::Piped, End::Piped);
    let (_, line) = process.stderr.until("a warning", |line| line.contains("evil"));
    assert!(is_clean(&line), "{line:?}");
}

#[test]
fn a_relay_with_a_small_limit_is_reported() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let config = format!("{folder}/small-messages.conf");
    std::fs::write(&config, "max_payload: 64KB\n").unwrap();
    let Some(nats) = Nats::start_with(&["--config", &config]) else { return };
    let (code, stderr) = run(&["127.0.0.1:0", "--relay", &nats.url(), "--node", "b"]);
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("less than 1000000"), "{stderr}");
}

#[test]
fn a_missing_credentials_file_is_reported_by_name() {
    let Some(nats) = Nats::start() else { return };
    let args = ["127.0.0.1:0", "--relay", &nats.url(), "--node", "b", "--creds", "no-such-file"];
    let (code, stderr) = run(&args);
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("no-such-file"), "{stderr}");
}

#[test]
fn the_url_may_have_a_user_and_a_password() {
    let Some(nats) = Nats::start_with(&["--user", "ann", "--pass", "secret"]) else { return };
    let start = |user: &str| {
        let url = format!("nats://{user}{}", nats.addr());
        let args = ["server", "127.0.0.1:0", "--relay", &url, "--node", "b"];
        Process::start(&mut chat().command(&args), End::Piped, End::Piped)
    };
    let addr = start("ann:secret@").listening();
    assert_ne!(addr.port(), 0);
    for user in ["", "ann:wrong@", "eve:secret@"] {
        let mut process = start(user);
        assert_eq!(process.exit_within(LIMIT), 1);
        let stderr = process.stderr_text();
        println!("{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.to_lowercase().contains("auth"), "{stderr}");
        assert!(!stderr.contains("secret") && !stderr.contains("wrong"), "{stderr}");
    }
}
