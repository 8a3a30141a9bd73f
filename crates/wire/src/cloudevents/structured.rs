//! Structured and batched mode: parses events directly from the body's bytes, without a tree.

use crate::fault::code;
use domain::{Event, Timestamp};

use crate::json::{Canonicalizer, Problem, text_of};

use super::draft::Draft;
use super::refusal::{Faults, Refusal};
use super::{BATCH_LIMIT, EVENT_LIMIT, REQUEST_LIMIT};

/// Why reading stopped early.
enum Stop {
    NoJson(Box<Problem>),
    Refused(Refusal),
}

impl From<Box<Problem>> for Stop {
    fn from(problem: Box<Problem>) -> Stop {
        Stop::NoJson(problem)
    }
}

/// The one event of a structured request.
pub(super) fn event(body: &[u8], received_at: Timestamp) -> Result<Vec<Event>, Refusal> {
    read_event(body, received_at).map_err(|stop| refusal(stop, body))
}

/// The events of a batched request.
pub(super) fn batch(body: &[u8], received_at: Timestamp) -> Result<Vec<Event>, Refusal> {
    read_batch(body, received_at).map_err(|stop| refusal(stop, body))
}

fn refusal(stop: Stop, body: &[u8]) -> Refusal {
    match stop {
        Stop::NoJson(problem) => Refusal::json(&problem, body),
        Stop::Refused(refusal) => refusal,
    }
}

fn read_event(body: &[u8], received_at: Timestamp) -> Result<Vec<Event>, Stop> {
    let mut scratch = String::with_capacity(body.len());
    let mut canonicalizer = Canonicalizer::new(text_of(body)?, &mut scratch);
    canonicalizer.blanks();
    if canonicalizer.peek() != Some(b'{') {
        let array = canonicalizer.peek() == Some(b'[');
        canonicalizer.value(0)?;
        canonicalizer.end()?;
        let hint = if array { "; for a list, use `application/cloudevents-batch+json`" } else { "" };
        let message = format!("expected one event, a JSON object{hint}");
        return Err(Stop::Refused(Refusal::new(422, code::WRONG_TYPE, None, message)));
    }
    canonicalizer.object_with_members(0)?;
    canonicalizer.end()?;
    let draft = draft(&canonicalizer);
    if draft.kept_size() > EVENT_LIMIT {
        return Err(Stop::Refused(Refusal::event_grows_too_large(None, draft.kept_size())));
    }
    let mut faults = Faults::default();
    let event = draft.finish(received_at, &mut faults);
    faults.refuse(422).map_err(Stop::Refused)?;
    Ok(event.into_iter().collect())
}

fn read_batch(body: &[u8], received_at: Timestamp) -> Result<Vec<Event>, Stop> {
    let mut scratch = String::new();
    let mut canonicalizer = Canonicalizer::new(text_of(body)?, &mut scratch);
    canonicalizer.blanks();
    if canonicalizer.peek() != Some(b'[') {
        let object = canonicalizer.peek() == Some(b'{');
        canonicalizer.value(0)?;
        canonicalizer.end()?;
        let hint = if object { "; for a single event, use `application/cloudevents+json`" } else { "" };
        let message = format!("expected a batch, a JSON array of events{hint}");
        return Err(Stop::Refused(Refusal::new(422, code::WRONG_TYPE, None, message)));
    }
    canonicalizer.expect(b'[', "`[`")?;
    canonicalizer.blanks();
    if canonicalizer.peek() == Some(b']') {
        canonicalizer.expect(b']', "`]`")?;
        canonicalizer.end()?;
        let message = "the batch is empty: send at least one event".to_owned();
        return Err(Stop::Refused(Refusal::new(422, code::EMPTY_BATCH, None, message)));
    }
    let mut events = Vec::new();
    let mut faults = Faults::default();
    let mut kept = 0;
    for index in 0.. {
        canonicalizer.blanks();
        if index == BATCH_LIMIT {
            return Err(Stop::Refused(Refusal::too_many_events()));
        }
        canonicalizer.clear();
        faults.index = Some(index);
        let start = canonicalizer.sent_at();
        let object = canonicalizer.peek() == Some(b'{');
        // The batch array does not count as a level: nesting is counted within each event.
        let read = if object { canonicalizer.object_with_members(0) } else { canonicalizer.value(0) };
        read.map_err(|problem| problem.within_index(index))?;
        let bytes = canonicalizer.sent_at() - start;
        if bytes > EVENT_LIMIT {
            return Err(Stop::Refused(Refusal::event_too_large(Some(index), bytes)));
        }
        if object {
            let draft = draft(&canonicalizer);
            let size = draft.kept_size();
            if size > EVENT_LIMIT {
                return Err(Stop::Refused(Refusal::event_grows_too_large(Some(index), size)));
            }
            kept += size;
            if kept > REQUEST_LIMIT {
                return Err(Stop::Refused(Refusal::request_grows_too_large(index)));
            }
            let event = draft.finish(received_at, &mut faults);
            if faults.is_empty() {
                events.extend(event);
            }
        } else {
            faults.add(code::WRONG_TYPE, "", "expected an event, a JSON object");
        }
        canonicalizer.blanks();
        if canonicalizer.peek() != Some(b',') {
            break;
        }
        canonicalizer.expect(b',', "`,`")?;
    }
    canonicalizer.expect(b']', "`,` or `]`")?;
    canonicalizer.end()?;
    faults.refuse(422).map_err(Stop::Refused)?;
    Ok(events)
}

/// The members of the event just read.
fn draft<'a>(canonicalizer: &'a Canonicalizer<'_, '_>) -> Draft<'a> {
    let text = canonicalizer.text();
    let mut draft = Draft::default();
    for member in canonicalizer.members() {
        // Without its quotes. Keys with escapes never name an attribute, so they need not be unescaped.
        let name = text.get(member.key.start + 1..member.key.end - 1).unwrap_or_default();
        draft.put(name, text.get(member.value.clone()).unwrap_or_default());
    }
    draft
}
