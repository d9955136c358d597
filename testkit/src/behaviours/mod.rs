//! The promised behaviours, one function each. The numbers are the rows of `docs/faults.md`.

mod addresses;
#[cfg(unix)]
mod background;
mod causes;
mod console;
mod crowds;
mod endings;
#[cfg(unix)]
mod fairness;
mod isolation;
mod lagging;
mod limits;
mod lines;
mod load;
#[cfg(unix)]
mod memory;
mod names;
mod operator;
mod room;
mod single;
mod slots;
mod slow;
mod stalls;
mod telnet;

pub use addresses::*;
#[cfg(unix)]
pub use background::*;
pub use causes::*;
pub use console::*;
pub use crowds::*;
pub use endings::*;
#[cfg(unix)]
pub use fairness::*;
pub use isolation::*;
pub use lagging::*;
pub use limits::*;
pub use lines::*;
pub use load::*;
#[cfg(unix)]
pub use memory::*;
pub use names::*;
pub use operator::*;
pub use room::*;
pub use single::*;
pub use slots::*;
pub use slow::*;
pub use stalls::*;
pub use telnet::*;
