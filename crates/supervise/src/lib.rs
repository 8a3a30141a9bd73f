//! Supervision of background tasks: when one returns or panics, it is restarted or the process stops, and the log
//! records it.

mod restart;
mod supervisor;

pub use restart::restart_on_panic;
pub use supervisor::Supervisor;
