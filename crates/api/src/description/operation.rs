//! Public description of one action, kept next to its code.

use wire::api::query::Parameter;
use wire::fault::code;

use crate::refusal::because::Code;

/// An action.
pub(crate) struct Operation {
    /// Name, for generated programs.
    pub(crate) id: &'static str,
    /// Summary, one line.
    pub(crate) summary: &'static str,
    /// Further details (CommonMark).
    pub(crate) text: &'static str,
    pub(crate) query: &'static [Parameter],
    /// Relevant optional headers, each with an example and its meaning.
    pub(crate) headers: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) sends: Option<Sends>,
    pub(crate) answers: Vec<Answer>,
    /// Error codes beyond those common to its kind.
    pub(crate) refuses: Vec<Refuses>,
    pub(crate) links: Vec<Link>,
}

/// A request body.
pub(crate) struct Sends {
    /// Media types, each with the name of its schema.
    pub(crate) content: Vec<(&'static str, &'static str)>,
    pub(crate) required: bool,
    /// Example as JSON text.
    pub(crate) example: Option<&'static str>,
}

/// A successful response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    /// Media types with their contents.
    pub(crate) content: Vec<(&'static str, Shown)>,
}

/// Body of a response.
#[derive(Clone, Copy)]
pub(crate) enum Shown {
    /// A value of the schema with this name.
    One(&'static str),
    /// A bare array of such values.
    List(&'static str),
    /// Text, such as a page.
    Text,
}

/// An error code with its status.
#[derive(Clone, Copy)]
pub(crate) struct Refuses {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

/// A possible next action on the response.
pub(crate) struct Link {
    /// The action.
    pub(crate) to: &'static str,
    /// Its parameters, as runtime expressions.
    pub(crate) with: &'static [(&'static str, &'static str)],
}

impl Operation {
    pub(crate) fn new(id: &'static str, summary: &'static str, text: &'static str) -> Operation {
        Operation {
            id,
            summary,
            text,
            query: &[],
            headers: &[],
            sends: None,
            answers: vec![],
            refuses: vec![],
            links: vec![],
        }
    }

    /// Sets the query parameters.
    pub(crate) fn query(mut self, query: &'static [Parameter]) -> Operation {
        self.query = query;
        self
    }

    /// Adds relevant headers.
    pub(crate) fn headers(mut self, headers: &'static [(&'static str, &'static str, &'static str)]) -> Operation {
        self.headers = headers;
        self
    }

    /// Sets a JSON request body.
    pub(crate) fn sends(self, schema: &'static str, example: &'static str) -> Operation {
        self.sends_any(vec![("application/json", schema)], true, Some(example))
    }

    /// Sets alternative request bodies, or none.
    pub(crate) fn sends_any(
        mut self,
        content: Vec<(&'static str, &'static str)>,
        required: bool,
        example: Option<&'static str>,
    ) -> Operation {
        self.sends = Some(Sends { content, required, example });
        self.faults(&[(400, code::MALFORMED_JSON)])
    }

    /// Sets an empty request body; an object without fields is also accepted.
    pub(crate) fn sends_nothing(self) -> Operation {
        self.faults(&[(400, code::MALFORMED_JSON), (422, code::UNKNOWN_FIELD), (422, code::WRONG_TYPE)])
    }

    /// Adds a JSON response.
    pub(crate) fn answers(self, status: u16, about: &'static str, shown: Shown) -> Operation {
        self.answers_with(status, about, Some(("application/json", shown)))
    }

    /// Adds another response, possibly empty; a repeated status adds a media type.
    pub(crate) fn answers_with(
        mut self,
        status: u16,
        about: &'static str,
        content: Option<(&'static str, Shown)>,
    ) -> Operation {
        match self.answers.iter_mut().find(|answer| answer.status == status) {
            Some(known) => known.content.extend(content),
            None => self.answers.push(Answer { status, about, content: content.into_iter().collect() }),
        }
        self
    }

    /// Adds error codes.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Operation {
        self.refuses.extend(codes.iter().map(|code| Refuses { status: code.status.as_u16(), code: code.name }));
        self
    }

    /// Adds possible faults of the request.
    pub(crate) fn faults(mut self, faults: &[(u16, &'static str)]) -> Operation {
        self.refuses.extend(faults.iter().map(|(status, code)| Refuses { status: *status, code }));
        self
    }

    /// Adds reasons for a request to be invalid.
    pub(crate) fn invalid(mut self, codes: &[&'static str]) -> Operation {
        self.refuses.extend(codes.iter().map(|code| Refuses { status: 422, code }));
        self
    }

    /// Adds a possible next action.
    pub(crate) fn then(mut self, to: &'static str, with: &'static [(&'static str, &'static str)]) -> Operation {
        self.links.push(Link { to, with });
        self
    }
}
