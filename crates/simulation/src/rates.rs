//! Placeholder until the measurements stand.
