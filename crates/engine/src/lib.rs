//! The engine: routes accepted events to lanes and does what lanes ask.
//!
//! [`core::Core`] decides and does no IO: it is told what happened and what time it is, like the lanes that it holds. `driver` is the
//! short loop around it that reads, saves, sends and waits. The simulation drives the same core under virtual time.

pub mod settings;

pub mod meters;
pub mod trace;

pub mod core;
pub mod index;

pub mod suspension;

mod lacks;

mod driver;
mod running;

pub use meters::Meters;
pub use running::Engine;
pub use settings::Settings;
