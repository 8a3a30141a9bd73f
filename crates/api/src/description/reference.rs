//! The description as Markdown, for readers of the project's repository.

use std::fmt::Write;

use wire::json::Value;

use super::walk::{self, list, text};

const MADE: &str = "<!-- Generated from the code by `cargo xtask docs`. -->";

/// All paths with their responses.
pub(super) fn api(document: &Value) -> String {
    let actions = walk::actions(document);
    let mut out = format!(
        "# API\n\n{MADE}\n\nAll paths, generated from the router's table. A running platform serves the same as a page \
         with bodies and curl examples at `/docs`, as OpenAPI 3.1 at `/openapi.json` ([openapi.json](openapi.json)) \
         and as a Postman collection at `/docs/postman.json` ([postman.json](postman.json)). Error codes: \
         [errors.md](errors.md).\n\n{}\n",
        text(document.get("info").unwrap_or(&Value::Null), "description")
    );
    for tag in list(document.get("tags")) {
        let name = text(tag, "name");
        _ = write!(out, "\n## {name}\n\n{}\n", text(tag, "description"));
        for action in actions.iter().filter(|action| action.tag() == name) {
            _ = write!(
                out,
                "\n### {}\n\n`{} {}`\n",
                text(action.action, "summary"),
                action.method.to_ascii_uppercase(),
                action.path
            );
            let about = text(action.action, "description");
            if !about.is_empty() {
                _ = write!(out, "\n{about}\n");
            }
            let parameters: Vec<_> = action.parameters.iter().filter(|one| text(one, "in") != "path").collect();
            if !parameters.is_empty() {
                out.push_str("\n| parameter | |\n| --- | --- |\n");
            }
            for parameter in parameters {
                let kind = parameter.get("schema").map(walk::kind).unwrap_or_default();
                _ = writeln!(
                    out,
                    "| `{}` | {}: {} |",
                    text(parameter, "name"),
                    cell(&kind),
                    cell(text(parameter, "description"))
                );
            }
            out.push_str("\n| response | |\n| --- | --- |\n");
            for (status, response) in action.responses() {
                if response.get("x-error-codes").is_none() {
                    _ = writeln!(out, "| {status} | {} |", cell(text(response, "description")));
                }
            }
            for (status, codes) in action.codes() {
                let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
                _ = writeln!(out, "| {status} | {} |", codes.join(", "));
            }
        }
    }
    out
}

/// Escapes text for a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
