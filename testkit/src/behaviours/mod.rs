//! What is promised, a function each. The numbers are those of `docs/faults.md`.

mod console;
mod endings;
mod limits;
mod lines;
mod load;
mod single;

pub use console::*;
pub use endings::*;
pub use limits::*;
pub use lines::*;
pub use load::*;
pub use single::*;
