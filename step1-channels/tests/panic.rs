//! A panic in the peer ends the chat with an error.

use std::io;

use common::lines;
use step1_channels::client;

#[test]
fn a_peer_that_panics_is_an_error() {
    // The writer waits for this keyboard, which stays open.
    let (keyboard, _open) = io::pipe().unwrap();
    let chat = client::run(lines(keyboard), io::sink(), |_, _| panic!("on purpose"));
    assert_eq!(chat.unwrap_err().to_string(), "a thread panicked");
}
