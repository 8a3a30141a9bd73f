//! What holds for the whole process that serves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Switches core dumps off: one would hold secrets, tokens and events in the clear, and lie where a crash handler puts
/// it.
pub(crate) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if getrlimit(Resource::Core) == none {
        return;
    }
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be switched off; set LimitCORE=0 where the service is defined");
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
