//! A panic in the peer is an error of the chat.

use std::io;

use step1_channels::client;

#[test]
fn a_peer_that_panics_is_an_error() {
    let (console, _typing) = io::pipe().unwrap();
    let chat = client::run(console, io::sink(), |_lines, _replies| panic!("on purpose"));
    assert_eq!(chat.unwrap_err().to_string(), "a thread panicked");
}
