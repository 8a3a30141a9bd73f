//! Fair shares of what tenants have in common: connections, look-ups, readers, memory for bodies.
//!
//! [`Queue`] decides without IO or clock, so that the simulation can drive it; [`Places`] is the same for tasks to wait
//! on; [`Aside`] shares the processors among work that is too heavy for the threads of the runtime.

mod aside;
mod places;
mod queue;

pub use aside::{Aside, Stopping};
pub use places::{Permit, Places};
pub use queue::{Asked, Holder, Queue, Waiter};
