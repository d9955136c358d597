use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::iter;

use crate::{LineDecoder, LineError, MAX_TEXT};

/// The lines typed into `console`. Taking the next one blocks until it is typed.
///
/// The iterator ends at EOF. A console that cannot be read has ended, too.
pub fn lines(mut console: impl Read) -> impl Iterator<Item = Result<String, LineError>> {
    let mut decoder = LineDecoder::new(MAX_TEXT);
    let mut decoded = VecDeque::new();
    let mut at_end = false;
    let mut buf = [0; 4096];
    iter::from_fn(move || {
        while decoded.is_empty() && !at_end {
            match console.read(&mut buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    at_end = true;
                    decoded.extend(decoder.finish());
                }
                Ok(n) => decoded.extend(decoder.feed(&buf[..n])),
            }
        }
        decoded.pop_front()
    })
}
