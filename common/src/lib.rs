//! The protocol of the chat, shared by all steps: bytes and strings in, values out (sans-IO). Only
//! [`lines`] reads.
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

mod address;
mod console;
mod decoder;
mod input;
mod line;

pub use address::{AddressError, check_address};
pub use console::lines;
pub use decoder::{LineDecoder, LineError, Lines};
pub use input::Input;
pub use line::{Line, sanitize};

/// The maximum length of a typed line in bytes, without its end.
pub const MAX_TEXT: usize = 4096;

/// The maximum length of a line from a server in bytes, without its end.
///
/// This is space for [`MAX_TEXT`] bytes that all grow threefold when they are sanitized, and for
/// the name before them.
pub const MAX_LINE: usize = 16 * 1024;

/// How many bytes beyond its limit a line may have before it counts as unterminated.
pub const MAX_EXCESS: usize = 64 * 1024;
