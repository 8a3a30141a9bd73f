//! Supervision of background tasks: one that ends or panics is started again or stops the process, and the log says so.

mod restart;
mod supervisor;

pub use restart::restart_on_panic;
pub use supervisor::Supervisor;
