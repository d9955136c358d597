//! What the chat says, at every stage: bytes and strings in, values out.
//!
//! Nothing here knows a socket, a thread, a clock or a runtime, so blocking and async steps share
//! it unchanged. A step needs about five lines of it:
//!
//! ```
//! use common::{Input, Line, LineDecoder, MAX_TEXT};
//!
//! let mut decoder = LineDecoder::new(MAX_TEXT);
//! for line in decoder.feed(b"hello\r\n/exit\n") {
//!     match Input::parse(&line.expect("short lines")) {
//!         Input::Text(text) => println!("{}", Line::Said { name: "ann", text }),
//!         Input::Exit => break,
//!         Input::Blank | Input::Command { .. } => {}
//!     }
//! }
//! ```

mod decoder;
mod input;
mod line;

pub use decoder::{LineDecoder, LineError, Lines};
pub use input::Input;
pub use line::{Line, sanitize};

/// The longest line that people may type, in bytes, its line end not counted.
pub const MAX_TEXT: usize = 4096;

/// The longest line that a console accepts from a server, in bytes, its line end not counted.
///
/// It has room for [`MAX_TEXT`] bytes that all grow threefold when they are sanitised, and for the
/// name before them.
pub const MAX_LINE: usize = 16 * 1024;

/// How many bytes beyond its limit a line may go on without an end before it is a flood.
pub const MAX_EXCESS: usize = 64 * 1024;
