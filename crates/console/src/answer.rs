//! Answers of the API, as the pages read them.

use http::StatusCode;
use serde_json::Value;

/// A refusal of the API.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refused {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// All faults.
    pub(crate) faults: Vec<Fault>,
    /// Seconds after which a repetition makes sense.
    pub(crate) retry_after: Option<u64>,
}

/// A fault of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fault {
    /// For a person.
    pub(crate) message: String,
    /// Name of its page under `/docs/errors`.
    pub(crate) code: String,
    /// Path of the field; empty if none is at fault.
    pub(crate) field: String,
}

impl Refused {
    /// Reads an error response.
    pub(crate) fn read(status: StatusCode, body: &Value, retry_after: Option<u64>) -> Refused {
        let fault = |error: &Value| Fault {
            message: error.text("/message").to_owned(),
            code: error.text("/code").to_owned(),
            field: error.text("/field").to_owned(),
        };
        Refused { status, faults: body.list("/errors").iter().map(fault).collect(), retry_after }
    }

    /// A refusal by the console itself.
    pub(crate) fn own(status: StatusCode, message: &str) -> Refused {
        let fault = Fault { message: message.to_owned(), ..Fault::default() };
        Refused { status, faults: vec![fault], retry_after: None }
    }
}

/// Lenient access by JSON pointer: what is missing is empty, so that a page shows what there is.
pub(crate) trait Look {
    /// A string.
    fn text(&self, pointer: &str) -> &str;
    /// A whole number; 0 without one.
    fn count(&self, pointer: &str) -> u64;
    /// A boolean.
    fn flag(&self, pointer: &str) -> bool;
    /// A list.
    fn list(&self, pointer: &str) -> &[Value];
    /// A value that is present and not `null`.
    fn present(&self, pointer: &str) -> Option<&Value>;
}

impl Look for Value {
    fn text(&self, pointer: &str) -> &str {
        self.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn count(&self, pointer: &str) -> u64 {
        self.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }

    fn flag(&self, pointer: &str) -> bool {
        self.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn present(&self, pointer: &str) -> Option<&Value> {
        self.pointer(pointer).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_keeps_every_fault_with_its_field() {
        let body =
            json!({"errors": [{"message": "is bad", "code": "invalid", "field": "config.url"}, {"message": "m"}]});
        let refused = Refused::read(StatusCode::UNPROCESSABLE_ENTITY, &body, None);
        assert_eq!(refused.faults[0].field, "config.url");
        assert_eq!(refused.faults[1], Fault { message: "m".to_owned(), ..Fault::default() });
        assert_eq!(Refused::read(StatusCode::BAD_GATEWAY, &Value::Null, Some(3)).faults, []);
    }

    #[test]
    fn what_is_missing_is_empty() {
        let value = json!({"a": {"b": "x", "n": 3, "f": 0.5, "l": [1], "t": true, "z": null}});
        assert_eq!((value.text("/a/b"), value.text("/a/n"), value.text("/q")), ("x", "", ""));
        assert_eq!((value.count("/a/n"), value.count("/a/f"), value.count("/a/b")), (3, 0, 0));
        assert_eq!((value.list("/a/l").len(), value.list("/a/b").len()), (1, 0));
        assert!(value.flag("/a/t") && !value.flag("/a/b"));
        assert!(value.present("/a/z").is_none() && value.present("/a/b").is_some());
    }
}
