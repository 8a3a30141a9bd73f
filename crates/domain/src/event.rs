//! An event as accepted, stored and delivered: the parts of a CloudEvent that do not depend on the subscription.

use std::borrow::Cow;
use std::ops::Range;

use crate::entity::{Entity, entity_of};
use crate::id::{PimId, Position};
use crate::scan::{self, Scan};
use crate::time::Timestamp;
use crate::trace_parent::TraceParent;

/// The extension attribute for the producer's own `source`, if other than [`PIM_SOURCE`]: the delivered `source` is a
/// setting of the platform.
pub const PRODUCER_SOURCE: &str = "producersource";

/// The `source` of events sent by a PIM itself.
pub const PIM_SOURCE: &str = "pim";

/// A checked event. Its parts are canonical JSON text (see `wire::json`), so that delivery only joins them.
///
/// All parts share one allocation: an event is built once, shared by every lane that delivers it, and freed once.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    text: Box<str>,
    ends: [u32; 4],
    product_identifier: Option<(u32, u32)>,
    /// Rare, hence separate.
    brought_by: Option<Box<TraceParent>>,
}

/// The parts of an [`Event`].
#[derive(Clone, Debug)]
pub struct EventParts<'a> {
    /// CloudEvents `id`, 1 to 256 characters, no control characters.
    pub id: &'a str,
    /// CloudEvents `type`.
    pub event_type: &'a str,
    /// RFC 3339 with `Z`, the fraction as sent by the producer.
    pub time: &'a str,
    /// Extension attributes as JSON members without braces (`"traceparent":"00-…","n":1`), empty if there are none.
    pub extensions: &'a str,
    /// `data` as canonical JSON, an object.
    pub data: &'a str,
    /// Range of the member `product.identifier` in `data`, comma included: cutting it leaves valid JSON.
    pub product_identifier: Option<Range<usize>>,
}

impl Event {
    /// Joins the parts. They must satisfy [`EventParts`]; `wire` ensures that.
    pub fn new(parts: EventParts<'_>) -> Event {
        let pieces = [parts.id, parts.event_type, parts.time, parts.extensions, parts.data];
        let mut text = String::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        let mut ends = [0; 4];
        for (index, piece) in pieces.into_iter().enumerate() {
            text.push_str(piece);
            if let Some(end) = ends.get_mut(index) {
                *end = text.len() as u32;
            }
        }
        debug_assert!(text.len() <= u32::MAX as usize);
        Event {
            text: text.into_boxed_str(),
            ends,
            product_identifier: parts.product_identifier.map(|cut| (cut.start as u32, cut.end as u32)),
            brought_by: None,
        }
    }

    /// The same, with the trace of the producer's request. It is stored with the event but not delivered.
    #[must_use]
    pub fn brought_by(self, parent: Option<TraceParent>) -> Event {
        Event { brought_by: parent.map(Box::new), ..self }
    }

    /// The trace of the producer's request, if stored.
    pub fn request(&self) -> Option<&TraceParent> {
        self.brought_by.as_deref()
    }

    /// The event's trace: from its extension attribute `traceparent`, otherwise from the producer's request.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.extension_text("traceparent").and_then(TraceParent::parse).or(self.request().copied())
    }

    /// The text of an extension attribute, if it is a string without escapes.
    fn extension_text(&self, name: &str) -> Option<&str> {
        let value = self.extension(name)?.strip_prefix('"')?;
        value.split_once('"').map(|(text, _)| text).filter(|text| !text.contains('\\'))
    }

    /// The canonical JSON of the extension attributes, starting at the value of this one.
    fn extension(&self, name: &str) -> Option<&str> {
        let mut rest = self.extensions();
        // Within a string every quote is preceded by a backslash: a quote after a comma or at the start begins a name.
        loop {
            let member = rest.strip_prefix('"')?;
            if let Some(value) = member.strip_prefix(name).and_then(|value| value.strip_prefix("\":")) {
                return Some(value);
            }
            let next = rest.find(",\"")?;
            rest = rest.get(next + 1..)?;
        }
    }

    /// The producer's own `source`; `None` = [`PIM_SOURCE`].
    pub fn producer_source(&self) -> Option<Cow<'_, str>> {
        Scan::new(self.extension(PRODUCER_SOURCE)?).string()
    }

    /// Unique text of this event within its PIM (CloudEvents: `source` and `id` together). Events with equal ids and
    /// different sources have different texts, and these never equal a bare id, because ids contain no control
    /// characters.
    pub fn identity(&self) -> Cow<'_, str> {
        match self.producer_source() {
            None => Cow::Borrowed(self.id()),
            Some(source) => Cow::Owned(format!("{source}\0{}", self.id())),
        }
    }

    /// The author's identifier, `data.author.identifier`.
    pub fn author(&self) -> Option<Cow<'_, str>> {
        Scan::new(scan::find(self.data(), &["author", "identifier"])?).string()
    }

    /// The entity that the event is about.
    pub fn entity(&self) -> Option<Entity> {
        entity_of(self.event_type(), self.data())
    }

    fn part(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        let end = self.ends.get(index).map_or(self.text.len(), |end| *end as usize);
        &self.text[start..end]
    }

    /// CloudEvents `id`.
    pub fn id(&self) -> &str {
        self.part(0)
    }

    /// CloudEvents `type`.
    pub fn event_type(&self) -> &str {
        self.part(1)
    }

    /// CloudEvents `time`, as delivered.
    pub fn time(&self) -> &str {
        self.part(2)
    }

    /// Extension attributes as JSON members without braces; empty if there are none.
    pub fn extensions(&self) -> &str {
        self.part(3)
    }

    /// `data` as canonical JSON.
    pub fn data(&self) -> &str {
        self.part(4)
    }

    /// The bytes of `data` to omit for a subscription without `send_product_identifier`.
    pub fn product_identifier(&self) -> Option<Range<usize>> {
        self.product_identifier.map(|(start, end)| start as usize..end as usize)
    }

    /// Approximate cost of the event in memory and in the log: the length of its text.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The parts, for storage.
    pub fn parts(&self) -> EventParts<'_> {
        EventParts {
            id: self.id(),
            event_type: self.event_type(),
            time: self.time(),
            extensions: self.extensions(),
            data: self.data(),
            product_identifier: self.product_identifier(),
        }
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({} {})", self.event_type(), self.id())
    }
}

/// An event in the log: on stable storage, with its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedEvent {
    /// Position in the log.
    pub position: Position,
    /// The PIM that sent it. No subscription of another PIM ever sees it.
    pub pim: PimId,
    /// Time of acceptance.
    pub accepted_at: Timestamp,
    /// The event.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OF_REQUEST: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    #[track_caller]
    fn check(extensions: &str, of_request: bool, expect: Option<&str>) {
        let parts = EventParts { id: "e", event_type: "t", time: "", extensions, data: "{}", product_identifier: None };
        let request = TraceParent::parse(OF_REQUEST).filter(|_| of_request);
        let event = Event::new(parts).brought_by(request);
        assert_eq!(event.trace_parent().map(|parent| parent.to_string()).as_deref(), expect, "{extensions}");
    }

    #[test]
    fn an_event_belongs_to_the_trace_that_it_names_else_to_that_of_its_request() {
        check("", false, None);
        check("", true, Some(OF_REQUEST));
        let named = format!(r#""traceparent":"{SENT}""#);
        check(&named, true, Some(SENT));
        check(&format!(r#""a":",","n":1,{named},"z":"x""#), false, Some(SENT));
        check(&format!(r#""a":"x,",{named}"#), false, Some(SENT));
        // Text quoted within another attribute does not count.
        check(&format!(r#""a":",\"traceparent\":\"{SENT}\"""#), false, None);
        check(r#""traceparent":"00-1""#, true, Some(OF_REQUEST));
        check(r#""traceparent":1"#, true, Some(OF_REQUEST));
        check(r#""xtraceparent":"y""#, false, None);
    }

    #[test]
    fn an_event_is_named_by_its_source_and_its_id() {
        let event = |extensions: &str, id: &str| {
            let parts = EventParts { id, event_type: "t", time: "", extensions, data: "{}", product_identifier: None };
            Event::new(parts)
        };
        let check = |extensions: &str, source: Option<&str>| {
            let event = event(extensions, "1");
            assert_eq!(event.producer_source().as_deref(), source, "{extensions}");
            assert_eq!(event.identity(), source.map_or("1".to_owned(), |source| format!("{source}\u{0}1")));
        };
        check("", None);
        check(r#""a":1,"traceparent":"00-1""#, None);
        check(r#""a":"\",\"producersource\":\"x\"""#, None);
        check(r#""producersource":"/shop-a""#, Some("/shop-a"));
        check(r#""a":",","producersource":"a \"b\" \\ \u0001,\"""#, Some("a \"b\" \\ \u{1},\""));
        assert_ne!(event(r#""producersource":"a""#, "b").identity(), event("", "ab").identity());
    }
}
