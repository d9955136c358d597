//! The editor on systems other than Unix: there is none.

use std::io;

use crate::Console;

/// A terminal with a line editor. No value of this type exists on this system.
#[derive(Debug)]
pub enum Terminal {}

impl Terminal {
    /// Returns `Ok(None)`: the client reads plain lines.
    ///
    /// # Errors
    ///
    /// None on this system.
    pub fn open() -> io::Result<Option<(Self, Console)>> {
        Ok(None)
    }
}
