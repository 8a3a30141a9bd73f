//! The public description of the API: `/openapi.json` (OpenAPI 3.1), a page for people at `/docs`, a Postman
//! collection. All of it is derived from the route table ([`crate::router`]) and the descriptions next to each action,
//! once, and cached.

mod document;
pub(crate) mod operation;
pub(crate) mod page;
mod postman;
mod reference;
#[cfg(test)]
mod reference_page;
mod walk;

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::event_type::EventTypes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use wire::json::Value;

use crate::description::operation::{Operation, Shown};
use crate::route::Section;
use crate::{Api, Settings};

/// The description in its served forms.
pub(crate) struct Description {
    openapi: Bytes,
    page: Bytes,
    postman: Bytes,
    /// Security policy of pages in browsers: they may only be displayed in their own style.
    pub(crate) policy: String,
}

impl Description {
    /// The description of an installation.
    pub(crate) fn new(contents: &[Section], settings: &Settings, event_types: &EventTypes) -> Description {
        let document = document::document(contents, settings, event_types);
        let style = digest::digest(&digest::SHA256, page::STYLE.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            STANDARD.encode(style.as_ref())
        );
        Description {
            openapi: document.to_canonical().into(),
            page: page::page(&document, settings.console).into(),
            postman: postman::collection(&document).to_canonical().into(),
            policy,
        }
    }
}

/// The files committed to the project's repository.
pub struct Published {
    /// The OpenAPI document, indented.
    pub openapi: String,
    /// The Postman collection, indented.
    pub postman: String,
    /// The reference of all paths in Markdown.
    pub reference: String,
}

/// The description of an installation, as files.
pub(crate) fn publish(contents: &[Section], settings: &Settings, event_types: &EventTypes) -> Published {
    let document = document::document(contents, settings, event_types);
    Published {
        openapi: indented(&document),
        postman: indented(&postman::collection(&document)),
        reference: reference::api(&document),
    }
}

fn indented(value: &Value) -> String {
    let mut text = String::new();
    indent(value, 0, &mut text);
    text.push('\n');
    text
}

fn indent(value: &Value, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                out.push_str(&Value::from(name.as_str()).to_canonical());
                out.push_str(": ");
                indent(value, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        Value::Array(elements)
            if elements.iter().any(|element| matches!(element, Value::Object(_) | Value::Array(_))) =>
        {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                indent(element, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        other => out.push_str(&other.to_canonical()),
    }
}

/// Public description.
pub(crate) fn about_openapi() -> Operation {
    Operation::new(
        "showDescription",
        "This description",
        "OpenAPI 3.1, for the destination types and event types of this installation.",
    )
    .answers(200, "The document.", Shown::One("OpenApi"))
}

/// Public description.
pub(crate) fn about_docs() -> Operation {
    Operation::new("showDocs", "This description as a page", "For humans: all paths with examples.").answers_with(
        200,
        "The page.",
        Some(("text/html", Shown::Text)),
    )
}

/// Public description.
pub(crate) fn about_postman() -> Operation {
    Operation::new(
        "showPostman",
        "A Postman collection",
        "All paths with examples, to be imported into Postman or run with Newman.",
    )
    .answers(200, "The collection (format 2.1).", Shown::One("PostmanCollection"))
}

/// Schemas of the responses.
pub(crate) const SCHEMAS: &[(&str, &str)] = &[
    (
        "OpenApi",
        r##"{"type": "object", "required": ["openapi", "info", "servers", "tags", "paths", "webhooks", "components"], "properties": {
          "openapi": {"type": "string"}, "info": {"type": "object"}, "servers": {"type": "array"}, "tags": {"type": "array"},
          "paths": {"type": "object"}, "webhooks": {"type": "object"}, "components": {"type": "object"}}}"##,
    ),
    (
        "PostmanCollection",
        r##"{"type": "object", "required": ["info", "item", "variable"], "properties": {"info": {"type": "object"}, "item": {"type": "array"}, "variable": {"type": "array"}}}"##,
    ),
];

const FRESH: &str = "public, max-age=300";

/// Serves the document.
pub(crate) async fn openapi(State(api): State<Arc<Api>>) -> Response {
    json(api.description().openapi.clone())
}

/// Serves the collection.
pub(crate) async fn postman(State(api): State<Arc<Api>>) -> Response {
    json(api.description().postman.clone())
}

fn json(text: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, FRESH)], text).into_response()
}

/// Serves the page.
pub(crate) async fn docs(State(api): State<Arc<Api>>) -> Response {
    api.description().html(api.description().page.clone())
}

impl Description {
    /// A page with a policy that only permits displaying it.
    pub(crate) fn html(&self, page: impl Into<Bytes>) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, FRESH),
            (CONTENT_SECURITY_POLICY, self.policy.as_str()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        (headers, page.into()).into_response()
    }
}
