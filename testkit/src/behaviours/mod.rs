//! What is promised, a function each. The numbers are those of `docs/faults.md`.

mod console;
mod endings;
mod limits;
mod lines;
mod load;
mod room;
mod single;
mod slow;

pub use console::*;
pub use endings::*;
pub use limits::*;
pub use lines::*;
pub use load::*;
pub use room::*;
pub use single::*;
pub use slow::*;
