//! Hardening of the serving process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Disables core dumps: a dump would contain secrets, tokens and events in plain text, wherever the crash handler
/// stores it.
pub(crate) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if getrlimit(Resource::Core) == none {
        return;
    }
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "could not disable core dumps; set LimitCORE=0 in the service definition");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_no_dump() {
        no_core_dumps();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
