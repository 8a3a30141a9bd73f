//! Parses CloudEvents over HTTP: structured, batched and binary mode; a request is accepted or rejected as a whole.
//!
//! The rules are those of contract pages 6 and 7. A request that breaks one gets a [`Refusal`] that lists every fault
//! of every event, so that a producer can fix all at once.

mod binary;
pub mod description;
mod draft;
mod identifier;
mod instant;
mod media_type;
mod refusal;
mod structured;

use domain::{Event, Timestamp};

use crate::json::escaped_len;
pub use instant::in_utc;
use media_type::Mode;
pub use refusal::Refusal;

/// Maximum bytes of one event (contract page 6): of its JSON text as sent (in binary mode, of the body), and of its
/// stored and delivered form without the platform's own envelope.
pub const EVENT_LIMIT: usize = 1024 * 1024;

/// Maximum bytes of a request's body, and of the stored form of its events (contract page 6).
pub const REQUEST_LIMIT: usize = 5 * 1024 * 1024;

/// Maximum number of events in a batch (contract page 6).
pub const BATCH_LIMIT: usize = 1_000;

/// A producer's request.
#[derive(Clone, Debug)]
pub struct Request<'a, H> {
    /// The header `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The header `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// All headers in order, including duplicates. Only `ce-*` matter.
    pub headers: H,
    /// The body.
    pub body: &'a [u8],
    /// The current time: the time of events without one.
    pub received_at: Timestamp,
}

/// The events of a request, in the order sent.
///
/// Their `time` is RFC 3339 with `Z`, with the fraction digits as sent, and `:60` in a leap second.
pub fn parse<'a, H>(request: Request<'a, H>) -> Result<Vec<Event>, Refusal>
where
    H: IntoIterator<Item = (&'a str, &'a [u8])>,
{
    let Request { content_type, content_encoding, headers, body, received_at } = request;
    if body.len() > REQUEST_LIMIT {
        return Err(Refusal::request_too_large(body.len()));
    }
    let (mode, fault) = media_type::judge(content_type, content_encoding, body);
    // A batch is measured per event, during reading. The order of checks is that of page 7: 413 before 415.
    if mode != Mode::Batched && body.trim_ascii().len() > EVENT_LIMIT {
        return Err(Refusal::event_too_large(None, body.trim_ascii().len()));
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    match mode {
        Mode::Structured => structured::event(body, received_at),
        Mode::Batched => structured::batch(body, received_at),
        Mode::Binary => binary::event(headers, body, received_at),
    }
}

/// Bytes of an event counted towards [`EVENT_LIMIT`]: its attributes and `data` as JSON, without the platform's own
/// envelope.
pub fn kept_size(event: &Event) -> usize {
    let texts = [("id", event.id()), ("type", event.event_type()), ("time", event.time())];
    // Each with its quotes, colon and comma.
    let texts: usize = texts.iter().map(|(name, text)| name.len() + escaped_len(text) + 4).sum();
    let extensions = event.extensions().len() + usize::from(!event.extensions().is_empty());
    texts + extensions + "data".len() + event.data().len() + 4 + 1
}

#[cfg(test)]
mod tests;
