//! Calls from node to node: questions about a shard to the node that owns it, and nudges. They read or wake only.
//!
//! A call is a `POST` over HTTP to the other node's `cluster.advertise` address. Both the call and its answer are
//! sealed ([`seal`]) with a key that follows from the platform's master keys. They are not encrypted: the listener
//! belongs on a network of the nodes' own. [`listener`] answers calls, [`caller`] makes them.

pub mod caller;
pub mod listener;
pub mod question;
pub mod seal;

use std::time::Duration;

pub use caller::{CallError, CallResult, Caller, Meters, Peer};
pub use listener::{Answers, Listener};
pub use question::{About, Answer, Question};
pub use seal::Keys;

/// Longest call, and longest time that the listener spends on one.
pub const TIME_LIMIT: Duration = Duration::from_secs(1);
/// Maximum number of calls at once: made, and answered.
pub const AT_ONCE: usize = 64;
/// Maximum size of a call's body.
pub const MAX_BODY: usize = 64 * 1024;
/// Maximum size of an answer's body.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// Largest difference between the clocks of two nodes before the caller has to use the other's.
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// Path of questions.
pub const QUESTION: &str = "/cluster/v1/question";
/// Path of nudges.
pub const NUDGE: &str = "/cluster/v1/nudge";

/// Header with the id of the node that is called.
const NODE: &str = "x-postrider-node";
/// Header with the time of the call, in microseconds since 1970.
const TIME: &str = "x-postrider-time";
/// Header with the seals of a call, one per key, or with that of an answer.
const SEAL: &str = "x-postrider-seal";

#[cfg(test)]
mod tests;
