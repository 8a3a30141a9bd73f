//! Fair shares of the resources that tenants share: connections, lookups, readers, memory for bodies.
//!
//! [`Queue`] decides without IO or clock, so the simulation can drive it; [`Places`] is the same for waiting tasks;
//! [`Aside`] shares the processors among work that is too heavy for the threads of the runtime.

mod aside;
mod places;
mod queue;

pub use aside::{Aside, Stopping};
pub use places::{Permit, Places};
pub use queue::{Asked, Holder, Queue, Waiter};
