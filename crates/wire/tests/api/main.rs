//! The API's bodies from a client's view: rejected ones with their errors, accepted ones with their rendered form.

mod accepted;
mod patched;
mod platform;
mod refused_destinations;
mod refused_subscribers;
mod refused_subscriptions;
mod round_trip;
