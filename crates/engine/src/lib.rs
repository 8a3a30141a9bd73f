//! The engine: routes accepted events to lanes and carries out the lanes' requests.
//!
//! [`core::Core`] holds the lanes and the router; [`driver::Driver`] is the loop around it. Both make decisions without
//! IO: like the lanes, they get inputs with their time. `shell` carries out the driver's requests on tokio, the
//! simulation under virtual time.

pub mod settings;

pub mod attempts;
pub mod meters;
pub mod trace;

pub mod core;
pub mod index;

pub mod driver;

pub mod suspension;
pub mod warning;
pub mod work;

mod running;
mod shell;

pub use attempts::Attempts;
pub use driver::STOP_AT_MOST;
pub use meters::Meters;
pub use running::{Common, Ending, Engine};
pub use settings::Settings;
