//! The API's bodies as clients see them: what is refused and how, what is accepted and how it reads back.

mod accepted;
mod patched;
mod platform;
mod refused_destinations;
mod refused_subscribers;
mod refused_subscriptions;
mod round_trip;
