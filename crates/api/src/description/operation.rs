//! What one action of an address is, for those who call it: it stands beside the code that does it.

use wire::api::query::Parameter;
use wire::fault::code;

use crate::refusal::because::Code;

/// An action.
pub(crate) struct Operation {
    /// Its name, for programs that are made from the description.
    pub(crate) id: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// What else there is to say (CommonMark).
    pub(crate) text: &'static str,
    pub(crate) query: &'static [Parameter],
    /// Headers that matter, with an example and what they mean; all may be left out.
    pub(crate) headers: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) sends: Option<Sends>,
    pub(crate) answers: Vec<Answer>,
    /// Codes beyond those that all of its kind can have.
    pub(crate) refuses: Vec<Refuses>,
    pub(crate) links: Vec<Link>,
}

/// A body that is sent.
pub(crate) struct Sends {
    /// Media types with the name of the schema of each.
    pub(crate) content: Vec<(&'static str, &'static str)>,
    pub(crate) required: bool,
    /// An example, as JSON text.
    pub(crate) example: Option<&'static str>,
}

/// An answer that says yes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    /// Media types, and what is sent in each.
    pub(crate) content: Vec<(&'static str, Shown)>,
}

/// What an answer's body is.
#[derive(Clone, Copy)]
pub(crate) enum Shown {
    /// Of the schema with this name.
    One(&'static str),
    /// A bare array of them.
    List(&'static str),
    /// A text, such as a page.
    Text,
}

/// A code under a status.
#[derive(Clone, Copy)]
pub(crate) struct Refuses {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

/// What can be done next with what was answered.
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

    /// It has these parameters in its query.
    pub(crate) fn query(mut self, query: &'static [Parameter]) -> Operation {
        self.query = query;
        self
    }

    /// These headers matter to it.
    pub(crate) fn headers(mut self, headers: &'static [(&'static str, &'static str, &'static str)]) -> Operation {
        self.headers = headers;
        self
    }

    /// It takes a JSON body.
    pub(crate) fn sends(self, schema: &'static str, example: &'static str) -> Operation {
        self.sends_any(vec![("application/json", schema)], true, Some(example))
    }

    /// It takes one of several bodies, or none.
    pub(crate) fn sends_any(
        mut self,
        content: Vec<(&'static str, &'static str)>,
        required: bool,
        example: Option<&'static str>,
    ) -> Operation {
        self.sends = Some(Sends { content, required, example });
        self.faults(&[(400, code::MALFORMED_JSON)])
    }

    /// It takes no body; an object without fields is none as well.
    pub(crate) fn sends_nothing(self) -> Operation {
        self.faults(&[(400, code::MALFORMED_JSON), (422, code::UNKNOWN_FIELD), (422, code::WRONG_TYPE)])
    }

    /// It answers with JSON.
    pub(crate) fn answers(self, status: u16, about: &'static str, shown: Shown) -> Operation {
        self.answers_with(status, about, Some(("application/json", shown)))
    }

    /// It answers with something else, or with nothing; said again of a status, it is a further media type.
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

    /// It may refuse for these reasons.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Operation {
        self.refuses.extend(codes.iter().map(|code| Refuses { status: code.status.as_u16(), code: code.name }));
        self
    }

    /// What is sent may have these faults.
    pub(crate) fn faults(mut self, faults: &[(u16, &'static str)]) -> Operation {
        self.refuses.extend(faults.iter().map(|(status, code)| Refuses { status: *status, code }));
        self
    }

    /// What is sent may not be valid for these reasons.
    pub(crate) fn invalid(mut self, codes: &[&'static str]) -> Operation {
        self.refuses.extend(codes.iter().map(|code| Refuses { status: 422, code }));
        self
    }

    /// What can be done next.
    pub(crate) fn then(mut self, to: &'static str, with: &'static [(&'static str, &'static str)]) -> Operation {
        self.links.push(Link { to, with });
        self
    }
}
