//! Consoles and exit codes (rows 12, 20 to 23).

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::{Chat, End, Lines, Peer, Process, Server, best_of_three, system};

/// A thousand lines that are piped into a client all arrive in order, and a reply is printed. (12)
pub fn piped_lines_all_arrive(chat: &Chat) {
    let mut server = chat.server();
    let mut reader = (chat.step() > 2).then(|| server.peer());
    let mut client = chat.client(server.addr);
    let numbers: String = (0..1000).map(|n| format!("{n}\n")).collect();
    client.type_bytes(&numbers);
    for n in 0..1000 {
        server.received_by(&mut reader).expect_text(&n.to_string());
    }
    match &mut reader {
        Some(reader) => reader.send_line("thank you"),
        None => server.process.type_line("thank you"),
    }
    client.stdout.until("a reply", |line| line.ends_with(": thank you"));
    client.close_stdin();
    assert_eq!(client.exit(), 0);
    let last = client.stdout.rest().pop();
    assert_eq!(last.as_deref(), (chat.step() > 2).then_some("* goodbye"));
    assert_eq!(client.stderr_text(), "");
}

/// Input that is followed at once by EOF is delivered. (12)
pub fn input_that_ends_at_once_is_delivered(chat: &Chat) {
    let mut server = chat.server();
    let mut reader = (chat.step() > 2).then(|| server.peer());
    let mut client = chat.client(server.addr);
    let numbers: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    client.type_bytes(numbers.join("\n") + "\n/exit");
    client.close_stdin();
    assert_eq!(client.exit(), 0);
    for n in numbers {
        server.received_by(&mut reader).expect_text(&n);
    }
}

/// Lines that the operator types before a client connects are delivered to it. (step 2)
pub fn lines_typed_before_a_client_connects_are_delivered(chat: &Chat) {
    let mut server = chat.server();
    let lines: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    server.process.type_bytes(lines.join("\n") + "\n");
    server.process.close_stdin();
    let mut peer = Peer::ungreeted(server.addr);
    assert_eq!(peer.lines.rest(), lines);
    peer.send_line("got it");
    server.process.stdout.expect("peer: got it");
    peer.half_close();
    assert_eq!(server.process.exit(), 0);
}

/// `/exit` on either side ends both programs within 300 ms, while the other stdin is open. (step 2)
pub fn exit_ends_both_programs(chat: &Chat) {
    for by_server in [true, false] {
        best_of_three(Duration::from_millis(300), || {
            let mut server = chat.server();
            let mut client = chat.client(server.addr);
            client.type_line("hello");
            server.process.stdout.expect("peer: hello");
            let typed = Instant::now();
            let process = if by_server { &mut server.process } else { &mut client };
            process.type_line("/exit");
            assert_eq!(client.exit(), 0);
            assert_eq!(server.process.exit(), 0);
            let took = typed.elapsed();
            assert_eq!(client.stdout.rest(), [""; 0]);
            assert_eq!(server.process.stdout.rest(), [""; 0]);
            took
        });
    }
}

/// `/exit` ends a server to which no client has connected. (step 2)
pub fn exit_ends_a_server_without_a_client(chat: &Chat) {
    let mut server = chat.server();
    server.process.type_bytes("undelivered\n/exit\n");
    assert_eq!(server.process.exit_within(Duration::from_millis(300)), 0);
}

/// Lines received after `/exit` are printed, and the server waits one second for a silent
/// peer. (step 2)
pub fn lines_received_after_exit_are_printed(chat: &Chat) {
    let mut server = chat.server();
    let mut peer = Peer::ungreeted(server.addr);
    server.process.type_bytes("typed early\n/exit\n");
    assert_eq!(peer.lines.rest(), ["typed early", "/exit"]);
    peer.send_line("wait");
    server.process.stdout.expect("peer: wait");
    assert_eq!(server.process.exit_within(Duration::from_millis(1300)), 0);
}

/// A port in use and a missing server are each reported in one line. (20)
pub fn a_port_in_use_and_a_missing_server_are_reported(chat: &Chat) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut server = Process::start(&mut chat.command(&["server", &addr]), End::Piped, End::Piped);
    assert_eq!(server.exit(), 1);
    assert_eq!(server.stderr_text().lines().count(), 1, "{}", server.stderr_text());
    drop(taken);
    let mut client = Process::start(&mut chat.command(&["client", &addr]), End::Piped, End::Piped);
    assert_eq!(client.exit(), 1);
    assert_eq!(client.stderr_text().lines().count(), 1, "{}", client.stderr_text());
}

/// Bad arguments end the program with exit code 2, help with 0. (20)
pub fn bad_arguments_exit_with_2(chat: &Chat) {
    for (args, code) in [(&["--no-such"][..], 2), (&["server", "a", "b"], 2), (&["-h"], 0)] {
        let mut process = Process::start(&mut chat.command(args), End::Null, End::Piped);
        assert_eq!(process.exit(), code);
        if code == 0 {
            let help = process.stdout.rest().join("\n");
            assert!(help.contains("Examples"), "{help}");
        }
    }
}

/// Host names and IPv6 addresses work. (20)
pub fn host_names_and_ipv6_addresses_work(chat: &Chat) {
    for host in ["localhost", "[::1]"] {
        let addr = format!("{host}:0");
        if host == "[::1]" && TcpListener::bind(&addr).is_err() {
            continue;
        }
        let mut command = chat.command(&["server", &addr]);
        let server = Server::wait(Process::start(&mut command, End::Piped, End::Piped));
        let addr = format!("{host}:{}", server.addr.port());
        let mut command = chat.command(&["client", &addr]);
        let mut client = Process::start(&mut command, End::Piped, End::Piped);
        client.type_line("/exit");
        assert_eq!(client.exit(), 0);
    }
}

/// A server without an operator serves, is idle without work, and ends on a signal. (21)
pub fn a_server_runs_without_a_console(chat: &Chat) {
    for stdin in [End::Null, End::Piped] {
        let mut command = chat.command(&["server", "127.0.0.1:0"]);
        let mut server = Server::wait(Process::start(&mut command, stdin, End::Piped));
        let mut ann = server.peer();
        server.process.close_stdin();
        let bob = server.peer();
        ann.lines.until("a new client", |line| line == format!("* {} joined", bob.name));
        let pid = server.process.id();
        if system::ticks(pid).is_some() {
            // Processor time in ticks of 10 ms, during half a second without input.
            best_of_three(3, || system::ticks_in(pid, Duration::from_millis(500)));
        }
        ann.sync();
        #[cfg(unix)]
        {
            server.process.signal("TERM");
            assert_eq!(server.process.exit_within(Duration::from_secs(2)), 0);
        }
    }
}

/// A client ends within a second of its server, while its stdin is open. (22)
pub fn a_client_ends_when_the_server_ends(chat: &Chat) {
    let mut server = chat.server();
    let mut client = chat.client(server.addr);
    match chat.step() {
        2 => {
            client.type_line("hello");
            server.process.stdout.expect("peer: hello");
        }
        _ => drop(client.stdout.until("a greeting", |line| line.starts_with("* you are "))),
    }
    server.process.type_line("/exit");
    assert_eq!(client.exit_within(Duration::from_secs(1)), 0);
    if chat.step() > 2 {
        assert_eq!(client.stdout.rest().pop().unwrap(), "* goodbye");
    }
    assert_eq!(server.process.exit(), 0);
}

/// A closed stdout ends the client with exit code 0. (23)
pub fn a_closed_stdout_ends_the_client(chat: &Chat) {
    let mut server = chat.server();
    let (stdout, writer) = std::io::pipe().unwrap();
    let addr = server.addr.to_string();
    let mut command = chat.command(&["client", &addr]);
    let mut client = Process::start(&mut command, End::Piped, End::Pipe(writer));
    drop(command);
    let mut reader = (chat.step() > 2).then(|| server.peer());
    client.type_line("here");
    match &mut reader {
        Some(reader) => {
            reader.lines.until("a line", |line| line.ends_with(": here"));
        }
        None => server.process.stdout.expect("peer: here"),
    }
    drop(stdout);
    match &mut reader {
        Some(reader) => reader.send_line("not shown"),
        None => server.process.type_line("not shown"),
    }
    assert_eq!(client.exit(), 0);
    assert_eq!(client.stderr_text(), "");
}

/// A server with a closed stdout continues to serve. (23)
pub fn a_closed_stdout_does_not_stop_the_server(chat: &Chat) {
    let (stdout, writer) = std::io::pipe().unwrap();
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop((stdout, command));
    let mut ann = server.peer();
    let mut bob = server.peer();
    for n in 0..100 {
        ann.send_line(&format!("{n}"));
        bob.lines.expect_after_notices(&format!("{}: {n}", ann.name));
    }
}

/// A server with a full stdout loses lines there, and delivers all lines to clients. (23)
pub fn a_full_stdout_costs_clients_no_line(chat: &Chat) {
    let (stdout, writer) = std::io::pipe().unwrap();
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop(command);
    let mut pair = chat.pair_on(server);
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        pair.sender.send_line(&text);
    }
    for _ in 0..1000 {
        pair.expect_received(&text);
    }
    // Once stdout is read again, it shows new lines.
    let mut stdout = Lines::new("the operator's stdout", stdout);
    let deadline = Instant::now() + crate::PATIENCE;
    loop {
        pair.sender.send_line("at last");
        pair.expect_received("at last");
        let next = stdout.next_within(Duration::from_millis(10)).flatten();
        if next.is_some_and(|line| line.ends_with(": at last")) {
            break;
        }
        assert!(Instant::now() < deadline, "stdout shows no new line");
    }
}

/// The operator's console shows all lines in order, and the operator's lines reach all clients.
pub fn the_operator_can_read_and_send(chat: &Chat) {
    let mut pair = chat.pair();
    let joined = format!("* {} joined", pair.sender.name);
    pair.server.process.stdout.until(&joined, |line| line.contains(&pair.sender.name));
    for n in 0..1000 {
        pair.sender.send_line(&format!("{n}"));
    }
    for n in 0..1000 {
        let line = pair.received_as(&n.to_string());
        pair.server.process.stdout.expect(&line);
    }
    pair.server.process.type_line("hello");
    pair.received().until("the operator", |line| line == "server: hello");
    pair.sender.lines.expect("server: hello");
    pair.server.process.type_line("/nonsense");
    let reply = pair.server.process.stdout.next().unwrap();
    assert!(reply.starts_with("! "), "{reply}");
}
