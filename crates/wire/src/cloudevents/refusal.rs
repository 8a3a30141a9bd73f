//! Rejection of a request with events: its status and all of its faults.

use crate::Fault;
use crate::fault::code;
use crate::json::Problem;

use super::{BATCH_LIMIT, EVENT_LIMIT, REQUEST_LIMIT};

/// A rejected request; none of it is accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{status}: {}", faults.first().map_or("refused", |fault| fault.message.as_str()))]
pub struct Refusal {
    /// The HTTP status: 400, 413, 415 or 422.
    pub status: u16,
    /// Faults of all events, at most [`Faults::LISTED`]; a last one states the number of further faults.
    pub faults: Vec<Fault>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, field: Option<String>, message: String) -> Refusal {
        Refusal { status, faults: vec![Fault { message, code, field, detail: None }] }
    }

    pub(super) fn request_too_large(bytes: usize) -> Refusal {
        let message = format!("the request has {bytes} bytes, at most {REQUEST_LIMIT} are allowed");
        Refusal::new(413, code::REQUEST_TOO_LARGE, None, message)
    }

    pub(super) fn event_too_large(index: Option<usize>, bytes: usize) -> Refusal {
        let field = index.map(|index| format!("[{index}]"));
        let message = format!("the event has {bytes} bytes, at most {EVENT_LIMIT} are allowed");
        Refusal::new(413, code::EVENT_TOO_LARGE, field, message)
    }

    pub(super) fn event_grows_too_large(index: Option<usize>, bytes: usize) -> Refusal {
        let field = index.map(|index| format!("[{index}]"));
        let message = format!(
            "the event has {bytes} bytes as stored (a number such as 1e20 is written out), at most {EVENT_LIMIT} are \
             allowed"
        );
        Refusal::new(413, code::EVENT_TOO_LARGE, field, message)
    }

    pub(super) fn request_grows_too_large(index: usize) -> Refusal {
        let message = format!(
            "up to [{index}], the events exceed {REQUEST_LIMIT} bytes as stored (a number such as 1e20 is written \
             out): split the batch"
        );
        Refusal::new(413, code::REQUEST_TOO_LARGE, None, message)
    }

    pub(super) fn too_many_events() -> Refusal {
        let message = format!("the batch has more than {BATCH_LIMIT} events: split it");
        Refusal::new(413, code::TOO_MANY_EVENTS, None, message)
    }

    pub(super) fn media_type(code: &'static str, message: String) -> Refusal {
        Refusal::new(415, code, None, message)
    }

    /// The rejection of invalid JSON.
    pub(super) fn json(problem: &Problem, body: &[u8]) -> Refusal {
        let error = problem.placed(body);
        let field = if error.path.is_empty() { None } else { Some(error.path.clone()) };
        Refusal::new(400, code::MALFORMED_JSON, field, error.to_string())
    }
}

/// Gathers the faults of a request.
#[derive(Default)]
pub(super) struct Faults {
    listed: Vec<Fault>,
    more: usize,
    /// Index of the current event in the batch.
    pub(super) index: Option<usize>,
}

impl Faults {
    /// Maximum number of listed faults: a batch of 1,000 wrong events does not need a response of megabytes.
    pub(super) const LISTED: usize = 100;

    /// Longer names are cut in a fault's field.
    const LONGEST_FIELD: usize = 100;

    /// Records a fault of a field of the current event, with the field at the start of the message: "`[7].time` must be
    /// …".
    pub(super) fn about(&mut self, code: &'static str, name: &str, predicate: impl std::fmt::Display) {
        let field = self.field(name).unwrap_or_default();
        self.add(code, name, format!("{field} {predicate}"));
    }

    /// Records a fault of a field of the current event; an empty name stands for the event itself.
    pub(super) fn add(&mut self, code: &'static str, name: &str, message: impl Into<String>) {
        if self.listed.len() == Faults::LISTED {
            self.more += 1;
            return;
        }
        let field = self.field(name);
        self.listed.push(Fault { message: message.into(), code, field, detail: None });
    }

    fn field(&self, name: &str) -> Option<String> {
        let name = match name.char_indices().nth(Faults::LONGEST_FIELD) {
            Some((cut, _)) => format!("{}…", &name[..cut]),
            None => name.to_owned(),
        };
        match self.index {
            Some(index) if name.is_empty() => Some(format!("[{index}]")),
            Some(index) => Some(format!("[{index}].{name}")),
            None if name.is_empty() => None,
            None => Some(name),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The rejection with all faults, if any.
    pub(super) fn refuse(mut self, status: u16) -> Result<(), Refusal> {
        if self.listed.is_empty() {
            return Ok(());
        }
        if self.more > 0 {
            let message = format!("{} further faults are not listed", self.more);
            self.listed.push(Fault { message, code: code::MORE_FAULTS, field: None, detail: None });
        }
        Err(Refusal { status, faults: self.listed })
    }
}
