//! Consoles and exit codes (rows 12, 20 to 23).

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::{Chat, End, Lines, Peer, Process, Server, best_of_three, system};

/// A thousand lines that are piped into a client all arrive in order, and what is said meanwhile is
/// printed. (12)
pub fn piped_lines_all_arrive(chat: &Chat) {
    let mut server = chat.server();
    let mut ears = (chat.step() > 2).then(|| server.peer());
    let mut client = chat.client(server.addr);
    let numbers: String = (0..1000).map(|n| format!("{n}\n")).collect();
    client.type_bytes(&numbers);
    for n in 0..1000 {
        server.ears(&mut ears).hear_said(&n.to_string());
    }
    match &mut ears {
        Some(ears) => ears.say("thank you"),
        None => server.process.type_line("thank you"),
    }
    client.stdout.until("a reply", |line| line.ends_with(": thank you"));
    client.close_stdin();
    assert_eq!(client.exit(), 0);
    let last = client.stdout.rest().pop();
    assert_eq!(last.as_deref(), (chat.step() > 2).then_some("* goodbye"));
    assert_eq!(client.complaints(), "");
}

/// Input that ends at once is delivered all the same. (12)
pub fn input_that_ends_at_once_is_delivered(chat: &Chat) {
    let mut server = chat.server();
    let mut ears = (chat.step() > 2).then(|| server.peer());
    let mut client = chat.client(server.addr);
    let numbers: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    client.type_bytes(numbers.join("\n") + "\n/exit");
    client.close_stdin();
    assert_eq!(client.exit(), 0);
    for n in numbers {
        server.ears(&mut ears).hear_said(&n);
    }
}

/// What the operator types before anybody is there is kept for the client. (step 2)
pub fn what_is_typed_early_is_kept(chat: &Chat) {
    let mut server = chat.server();
    let lines: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    server.process.type_bytes(lines.join("\n") + "\n");
    server.process.close_stdin();
    let mut peer = Peer::ungreeted(server.addr);
    assert_eq!(peer.lines.rest(), lines);
    peer.say("got it");
    server.process.stdout.expect("peer: got it");
    peer.half_close();
    assert_eq!(server.process.exit(), 0);
}

/// `/exit` on either side ends both programs, within 300 ms and without Enter. (step 2)
pub fn exit_ends_both(chat: &Chat) {
    for by_server in [true, false] {
        best_of_three(Duration::from_millis(300), || {
            let mut server = chat.server();
            let mut client = chat.client(server.addr);
            client.type_line("hello");
            server.process.stdout.expect("peer: hello");
            let typed = Instant::now();
            match by_server {
                true => server.process.type_line("/exit"),
                false => client.type_line("/exit"),
            }
            assert_eq!(client.exit(), 0);
            assert_eq!(server.process.exit(), 0);
            let took = typed.elapsed();
            assert_eq!(client.stdout.rest(), [""; 0]);
            assert_eq!(server.process.stdout.rest(), [""; 0]);
            took
        });
    }
}

/// `/exit` ends a server for which nobody came. (step 2)
pub fn exit_ends_a_server_without_a_client(chat: &Chat) {
    let mut server = chat.server();
    server.process.type_bytes("unheard\n/exit\n");
    assert_eq!(server.process.exit_within(Duration::from_millis(300)), 0);
}

/// After `/exit` what still comes is printed, and a silent peer is waited for a second. (step 2)
pub fn exit_prints_what_still_comes(chat: &Chat) {
    let mut server = chat.server();
    let mut peer = Peer::ungreeted(server.addr);
    server.process.type_bytes("typed early\n/exit\n");
    assert_eq!(peer.lines.rest(), ["typed early", "/exit"]);
    peer.say("wait");
    server.process.stdout.expect("peer: wait");
    assert_eq!(server.process.exit_within(Duration::from_millis(1300)), 0);
}

/// A port in use, and a server that is not there, are told in one line. (20)
pub fn no_port_and_no_server_are_told(chat: &Chat) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut server = Process::start(&mut chat.command(&["server", &addr]), End::Piped, End::Piped);
    assert_eq!(server.exit(), 1);
    assert_eq!(server.complaints().lines().count(), 1, "{}", server.complaints());
    drop(taken);
    let mut client = Process::start(&mut chat.command(&["client", &addr]), End::Piped, End::Piped);
    assert_eq!(client.exit(), 1);
    assert_eq!(client.complaints().lines().count(), 1, "{}", client.complaints());
}

/// Bad arguments are told with exit code 2; help is none.
pub fn usage_is_told(chat: &Chat) {
    for (args, code) in [(&["--no-such"][..], 2), (&["server", "a", "b"], 2), (&["-h"], 0)] {
        let mut process = Process::start(&mut chat.command(args), End::Null, End::Piped);
        assert_eq!(process.exit(), code);
        if code == 0 {
            let help = process.stdout.rest().join("\n");
            assert!(help.contains("Examples"), "{help}");
        }
    }
}

/// Host names and IPv6 work.
pub fn any_address_will_do(chat: &Chat) {
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

/// A server without an operator serves on, idles, and ends by a signal. (21)
pub fn a_server_needs_no_console(chat: &Chat) {
    for stdin in [End::Null, End::Piped] {
        let mut command = chat.command(&["server", "127.0.0.1:0"]);
        let mut server = Server::wait(Process::start(&mut command, stdin, End::Piped));
        let mut ann = server.peer();
        server.process.close_stdin();
        let bob = server.peer();
        ann.lines.until("a newcomer", |line| line == format!("* {} joined", bob.name));
        let pid = server.process.id();
        if system::ticks(pid).is_some() {
            // In ticks of 10 ms, in half a second in which nothing happens.
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

/// The server's end ends a client within a second, without Enter. (22)
pub fn the_servers_end_ends_a_client(chat: &Chat) {
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

/// A closed stdout ends a client with 0. (23)
pub fn a_closed_screen_ends_a_client(chat: &Chat) {
    let mut server = chat.server();
    let (screen, writer) = std::io::pipe().unwrap();
    let addr = server.addr.to_string();
    let mut command = chat.command(&["client", &addr]);
    let mut client = Process::start(&mut command, End::Piped, End::Pipe(writer));
    drop(command);
    let mut ears = (chat.step() > 2).then(|| server.peer());
    client.type_line("here");
    match &mut ears {
        Some(ears) => {
            ears.lines.until("a line", |line| line.ends_with(": here"));
        }
        None => server.process.stdout.expect("peer: here"),
    }
    drop(screen);
    match &mut ears {
        Some(ears) => ears.say("nobody reads this"),
        None => server.process.type_line("nobody reads this"),
    }
    assert_eq!(client.exit(), 0);
    assert_eq!(client.complaints(), "");
}

/// A server whose stdout is closed serves on. (23)
pub fn a_server_outlives_its_screen(chat: &Chat) {
    let (screen, writer) = std::io::pipe().unwrap();
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop((screen, command));
    let mut ann = server.peer();
    let mut bob = server.peer();
    for n in 0..100 {
        ann.say(&format!("{n}"));
        bob.lines.hear(&format!("{}: {n}", ann.name));
    }
}

/// A server whose stdout is full loses lines there, and nowhere else. (23)
pub fn a_full_screen_costs_no_client(chat: &Chat) {
    let (screen, writer) = std::io::pipe().unwrap();
    let mut command = chat.command(&["server", "127.0.0.1:0"]);
    let server = Server::wait(Process::start(&mut command, End::Piped, End::Pipe(writer)));
    drop(command);
    let mut pair = chat.pair_on(server);
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        pair.speaker.say(&text);
    }
    for _ in 0..1000 {
        pair.hears(&text);
    }
    // Read again, it shows what is said from now on.
    let mut screen = Lines::new("the operator's screen", screen);
    let deadline = Instant::now() + crate::PATIENCE;
    loop {
        pair.speaker.say("at last");
        pair.hears("at last");
        let next = screen.next_within(Duration::from_millis(10)).flatten();
        if next.is_some_and(|line| line.ends_with(": at last")) {
            break;
        }
        assert!(Instant::now() < deadline, "the screen never came back");
    }
}

/// Everything that is said appears on the operator's console, in order, and what the operator says
/// reaches everybody.
pub fn the_operator_takes_part(chat: &Chat) {
    let mut pair = chat.pair();
    let joined = format!("* {} joined", pair.speaker.name);
    pair.server.process.stdout.until(&joined, |line| line.contains(&pair.speaker.name));
    for n in 0..1000 {
        pair.speaker.say(&format!("{n}"));
    }
    for n in 0..1000 {
        let line = pair.heard_as(&n.to_string());
        pair.server.process.stdout.expect(&line);
    }
    pair.server.process.type_line("hello");
    pair.ears().until("the operator", |line| line == "server: hello");
    pair.speaker.lines.expect("server: hello");
    pair.server.process.type_line("/nonsense");
    let answer = pair.server.process.stdout.next().unwrap();
    assert!(answer.starts_with("! "), "{answer}");
}
