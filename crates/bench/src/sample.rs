//! The events to send: 1 KB of JSON each, the usual size of product events, with numbered ids.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Size of an event as written by its producer, in bytes.
pub(crate) const EVENT_BYTES: usize = 1024;
/// Type of all events.
pub(crate) const EVENT_TYPE: &str = "com.akeneo.pim.v1.product.updated";
/// A type that no event has.
pub(crate) const OTHER_TYPE: &str = "com.akeneo.pim.v1.product.deleted";

/// Common prefix of all events, as sent and as delivered.
const BEFORE_ID: &str = r#"{"specversion":"1.0","id":""#;
const ID_LEN: usize = 36;

/// Creates events, each with its own id.
pub(crate) struct Samples {
    template: String,
    next: AtomicU64,
}

impl Samples {
    pub(crate) fn new() -> Samples {
        let head = format!(
            r#"{BEFORE_ID}{}","source":"pim","type":"{EVENT_TYPE}","time":"2026-11-02T08:00:00.716Z","datacontenttype":"application/json","data":{{"product":{{"uuid":"4a40cffc-a02d-5dd1-877c-5876596015f4","identifier":"tshirt-0815"}},"author":{{"identifier":"julia","type":"user"}},"changes":""#,
            id(0)
        );
        let tail = "\"}}";
        let words = "name description price family categories enabled ";
        let room = EVENT_BYTES - head.len() - tail.len();
        let text: String = words.chars().cycle().take(room).collect();
        Samples { template: head + &text + tail, next: AtomicU64::new(1) }
    }

    /// Reserves `count` numbers; returns the first.
    pub(crate) fn take(&self, count: usize) -> u64 {
        self.next.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// The event of a number.
    pub(crate) fn event(&self, number: u64) -> Bytes {
        Bytes::from(self.text(number))
    }

    fn text(&self, number: u64) -> String {
        let mut event = self.template.clone();
        event.replace_range(BEFORE_ID.len()..BEFORE_ID.len() + ID_LEN, &id(number));
        event
    }

    /// The body of a request with this many new events.
    pub(crate) fn body(&self, count: usize) -> Bytes {
        let first = self.take(count);
        if count > 1 { self.batch(first, count) } else { self.event(first) }
    }

    /// A batch of events.
    pub(crate) fn batch(&self, first: u64, count: usize) -> Bytes {
        let mut batch = String::with_capacity(count * (EVENT_BYTES + 1) + 2);
        for number in first..first + count as u64 {
            batch.push(if number == first { '[' } else { ',' });
            batch.push_str(&self.text(number));
        }
        batch.push(']');
        Bytes::from(batch)
    }
}

fn id(number: u64) -> String {
    format!("018e32e0-5c1e-7f4b-9a3b-{number:012x}")
}

/// The number of an arrived event.
pub(crate) fn number_of(delivered: &[u8]) -> Option<u64> {
    let id = delivered.get(BEFORE_ID.len()..BEFORE_ID.len() + ID_LEN)?;
    u64::from_str_radix(std::str::from_utf8(id.get(24..)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_size_and_number() {
        let samples = Samples::new();
        let number = samples.take(3) + 2;
        let event = samples.event(number);
        assert_eq!(event.len(), EVENT_BYTES);
        assert_eq!(number_of(&event), Some(3));
        assert_eq!(samples.batch(1, 2).len(), 2 * EVENT_BYTES + 3);
    }
}
