//! Bodies of the management API: what clients send, checked as a whole, and what they are answered.
//!
//! Reading order: what a resource looks like ([`subscriber`], [`subscription`]), what is looked up ([`log_query`],
//! [`log_page`]), what of a refused body may be shown ([`redact`]). Underneath: a reader that gathers all faults
//! (`reader`), and the shape of the bodies with its merge patch (`shape`).

pub mod admin;
mod answer;
mod description;
mod destination;
mod endpoint;
mod faults;
mod options;
mod reader;
mod shape;

pub mod log_page;
pub mod log_query;
pub mod redact;
pub mod subscriber;
pub mod subscription;

use domain::address::AddressPolicy;
use domain::event_type::Catalogue;

/// What the platform and the caller bring to the checks of a body.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Event types that a subscription can name.
    pub catalogue: &'a Catalogue,
    /// Which addresses a destination may have.
    pub addresses: &'a AddressPolicy,
    /// Whether `http://` is allowed (a setting for development).
    pub allow_http: bool,
    /// Types of destination that this installation was built with: of `https`, `pubsub`, `kafka`.
    pub destination_types: &'a [&'a str],
    /// The caller's PIM URL, in the spelling of its registration.
    pub subject: &'a str,
}

impl Rules<'_> {
    /// Whether `text` is the caller's PIM URL, in any equal spelling.
    fn is_subject(&self, text: &str) -> bool {
        text == self.subject
            || domain::pim::url_key(text).is_some_and(|key| Some(key) == domain::pim::url_key(self.subject))
    }
}

pub use description::schemas;
pub use redact::redact_for_log;
