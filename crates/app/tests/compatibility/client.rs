//! An existing client: the three headers, JSON, one request after another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::platform::{PIM_URL, Platform};

/// A platform with a client.
pub(crate) struct World {
    pub(crate) platform: Platform,
}

/// A raw response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// Endpoints on this machine, so that tests can receive.
const DEVELOPMENT: &str = "allow_http_destinations = true\nallow_networks = [\"127.0.0.0/8\"]";

impl World {
    pub(crate) fn new() -> World {
        World { platform: Platform::start(DEVELOPMENT) }
    }

    /// A request with exactly these headers plus `Host` and the length.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.platform.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.platform.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PATCH") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A request of the client `app`, with an optional JSON body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_as(("app", "token"), method, path, body)
    }

    pub(crate) fn call_as(&self, who: (&str, &str), method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut headers = vec![("X-PIM-URL", PIM_URL), ("X-PIM-TOKEN", who.1), ("X-PIM-CLIENT-ID", who.0)];
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(method, &format!("/api/v1{path}"), &headers, &body)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).json(200)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, Some(body)).json(201)
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Value {
        self.call("PATCH", path, Some(body)).json(200)
    }

    /// Creates a subscriber; returns its path.
    pub(crate) fn subscriber(&self) -> String {
        format!("/subscribers/{}", text(&self.post("/subscribers", &new_subscriber()), "id"))
    }

    /// Creates a subscription; returns its path.
    pub(crate) fn subscription(&self, body: &Value) -> String {
        let path = format!("{}/subscriptions", self.subscriber());
        format!("{path}/{}", text(&self.post(&path, body), "id"))
    }
}

impl Answer {
    /// The JSON body of a response with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.body).unwrap()
    }

    /// The messages of an error, as a client shows them to its user.
    #[track_caller]
    pub(crate) fn messages(&self, status: u16) -> Vec<String> {
        let body = self.json(status);
        let errors = body["errors"].as_array().unwrap();
        assert!(!errors.is_empty() && body.as_object().unwrap().len() == 1, "{body}");
        errors.iter().map(|error| text(error, "message").to_owned()).collect()
    }

    /// Requires an empty response with this status.
    #[track_caller]
    pub(crate) fn nothing(&self, status: u16) {
        assert_eq!((self.status, self.body.as_str()), (status, ""));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

#[track_caller]
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text at {name} in {value}"))
}

pub(crate) fn new_subscriber() -> Value {
    json!({"name": "My app", "contact": {"technical_email": "dev@example.com"}})
}

pub(crate) fn new_subscription() -> Value {
    json!({
        "source": "pim",
        "subject": PIM_URL,
        "type": "https",
        "events": ["com.akeneo.pim.v1.product.created", "com.akeneo.pim.v1.product.updated"],
        "config": {
            "url": "https://app.example.com/events",
            "secret": {"primary": "your_primary_secret", "secondary": ""},
        },
    })
}

/// RFC 3339 in UTC with `Z` and microseconds.
#[track_caller]
pub(crate) fn is_timestamp(value: &Value) {
    let text = value.as_str().unwrap();
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{text}");
}

/// A UUID of version 7 in the hyphenated form.
#[track_caller]
pub(crate) fn is_id(value: &Value) {
    let text = value.as_str().unwrap();
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{text}");
    assert_eq!(&text[14..15], "7", "{text}");
}
