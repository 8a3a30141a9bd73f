//! The engine: routes accepted events to lanes and does what lanes ask.
//!
//! [`core::Core`] holds the lanes and the router; [`driver::Driver`] is the loop around it. Both decide and do no IO:
//! they are told what happened and what time it is, like the lanes. `shell` does on tokio what the driver asks; the
//! simulation does it under virtual time.

pub mod settings;

pub mod meters;
pub mod trace;

pub mod core;
pub mod index;

pub mod driver;

pub mod suspension;
pub mod work;

mod running;
mod shell;

pub use driver::STOP_AT_MOST;
pub use meters::Meters;
pub use running::{Ending, Engine};
pub use settings::Settings;
