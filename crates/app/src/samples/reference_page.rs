//! `docs/reference/events.md`, generated from the catalogue of event types by `cargo xtask docs`.

use std::fmt::Write as _;

use domain::event_type::{self, EventTypes, PIM_PREFIX, known};
use expect_test::expect_file;
use wire::json::{self, Value};

#[test]
fn reference_page_of_events() {
    expect_file!["../../../../docs/reference/events.md"].assert_eq(&page());
}

fn page() -> String {
    let known = EventTypes::new();
    let names: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
    let mut text = format!(
        "# Events\n\n\
         <!-- Generated from the code by `cargo xtask docs`. -->\n\n\
         The {} event types of a PIM. Receivers must tolerate additional fields and types: a newer PIM may send \
         them.\n\n\
         All names begin with `{PIM_PREFIX}`. [Receive events](../integrators/receiving.md) shows the envelope; this \
         page lists \
         the fields of `data`. A path through a list or a map refers to the fields of each item.\n\n\
         The platform serves the list at `/api/v1/event-types` and the JSON Schema of each type at \
         `/spec/{{type}}.schema.json`. \
         `postrider emit --type product.created --print` prints a sample.\n\n\
         | type | filter fields | |\n| --- | --- | --- |\n",
        names.len()
    );
    for name in &names {
        let fields = if event_type::is_delta(name) {
            "`user`, `user_type`, `attribute`, `scope`, `locale`"
        } else {
            "`user`, `user_type`"
        };
        let remark = if event_type::takes_product_identifier(name) {
            "`data.product.identifier` with `send_product_identifier`"
        } else if [event_type::APP_DELETED, event_type::CONNECTION_DELETED].contains(name) {
            "revokes the subscribers of that client"
        } else {
            ""
        };
        let short = without_prefix(name);
        _ = writeln!(text, "| [`{short}`](#{}) | {fields} | {remark} |", anchor(short));
    }
    for name in names {
        _ = write!(text, "\n## {}\n\n| field of `data` | type |\n| --- | --- |\n", without_prefix(name));
        for field in known::fields(name).unwrap_or_default() {
            let path = field.path.strip_prefix("data.").unwrap_or(&field.path);
            _ = writeln!(
                text,
                "| `{path}` | {} |",
                field.json_type.replace('|', "\\|").replace('<', " of ").replace('>', "")
            );
        }
        let example = json::parse(known::example(name).unwrap().as_bytes()).unwrap();
        text.push_str("\n```json\n");
        pretty(&example, 0, &mut text);
        text.push_str("\n```\n");
    }
    text
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PIM_PREFIX).unwrap_or(name)
}

/// Anchor of a heading in Markdown.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

/// Short values on one line, longer ones split into their members.
fn pretty(value: &Value, depth: usize, out: &mut String) {
    const WIDTH: usize = 100;
    let compact = value.to_canonical();
    let inner = "  ".repeat(depth + 1);
    match value {
        Value::Object(members) if depth == 0 || compact.len() + 2 * depth > WIDTH => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                _ = write!(
                    out,
                    "{}\n{inner}{}: ",
                    if index == 0 { "" } else { "," },
                    Value::from(name.as_str()).to_canonical()
                );
                pretty(member, depth + 1, out);
            }
            _ = write!(out, "\n{}}}", "  ".repeat(depth));
        }
        Value::Array(items) if compact.len() + 2 * depth > WIDTH => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                _ = write!(out, "{}\n{inner}", if index == 0 { "" } else { "," });
                pretty(item, depth + 1, out);
            }
            _ = write!(out, "\n{}]", "  ".repeat(depth));
        }
        _ => out.push_str(&compact),
    }
}
