//! Step 2: the peer becomes another process, and the channels to it a TCP connection.
//!
//! ```text
//! stdin → writer ─┐             ┌─ reader → stdout
//!                 ├─ TCP ─ TCP ─┤
//! stdout ← reader ┘             └─ writer ← stdin
//! ```
//!
//! Both sides have a writer, which waits for the keyboard, and a reader, which waits for the
//! socket. A thread that is blocked in one call notices nothing else, so neither notices that the
//! other has ended. One direction is easy: when the connection ends, the reader returns, the
//! program ends, and a blocked writer ends with it. The other direction is the lesson: when you
//! type `/exit`, the writer knows it, and the reader is blocked in `read`. What could wake it?
//!
//! - *Dropping the writer's handle of the socket* does not. Both handles belong to one socket. It
//!   stays open until the last handle is dropped, and the blocked reader holds the other one.
//! - *`shutdown(Write)`* does not. It tells the other side that nothing more will come. The other
//!   side may still have a lot to send, and our reader waits for it.
//! - *`shutdown(Both)`* does, at once. But it also ends the reading: the reader gets EOF and prints
//!   nothing of what still arrives, and after `/exit` it has to print that for up to a second.
//!   Step 3 uses `shutdown(Both)` when nothing is left to print.
//! - *A read timeout under `read_line`* does, but it loses data. The timeout may fire in the middle
//!   of a character, and then `read_line` discards what it has read in this call.
//!
//! So the reader calls `read` with a timeout of 100 ms, and before each call it checks a channel
//! for a message from the writer. `WouldBlock` (on Windows `TimedOut`) now means that nothing has
//! arrived yet, so it must not go up through `?` as an error. [`common::LineDecoder`] keeps the
//! bytes of an unfinished line over any number of reads.
//!
//! Two endings look similar and mean different things. A *message* in the channel ends the chat:
//! `/exit` was typed, or something failed. A *closed* channel means EOF on stdin: no more lines
//! will be typed, the connection is half-closed, and the reader goes on until the other side closes
//! too.
//!
//! Read [`client`] first: it is the whole chat, for both sides. [`server`] accepts the client; most
//! of it is hardening, for lines that you type before the client comes. [`console`] and `main` are
//! the scaffolding.

pub mod client;
pub mod console;
pub mod server;
