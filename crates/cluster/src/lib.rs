//! Several nodes, one platform: which node owns which shard ([`tenancy`]), which nodes live ([`beats`]), whether a node
//! can deliver ([`mod@fitness`]), by a clock of its own ([`mod@uptime`]), and calls from node to node ([`call`]).

pub mod beats;
pub mod call;
pub mod fitness;
pub mod tenancy;
pub mod uptime;

pub use beats::Beats;
pub use fitness::Fitness;
pub use tenancy::{Decision, Tenancy};
pub use uptime::uptime;
