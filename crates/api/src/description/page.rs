//! The description as a page for people: one file without external scripts, fonts or images.

use std::fmt::Write;

use wire::json::Value;

use super::walk::{self, Described, kind, list, members, referred, text};

/// The style of all of the platform's pages. Its hash is in their security policy.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The page; `console`: whether this installation serves one to lead back to.
pub(super) fn page(document: &Value, console: bool) -> String {
    let actions = walk::actions(document);
    let mut body = String::new();
    nav(&mut body, document, &actions, console);
    body.push_str("<main>");
    head(&mut body, document);
    for tag in list(document.get("tags")) {
        let name = text(tag, "name");
        _ = write!(
            body,
            "<section id=\"{}\"><h2>{}</h2>{}",
            slug(name),
            escaped(name),
            prose(text(tag, "description"))
        );
        let of_tag: Vec<&Described<'_>> = actions.iter().filter(|action| action.tag() == name).collect();
        if let Some(first) = of_tag.first() {
            credentials(&mut body, document, first);
        }
        of_tag.iter().for_each(|action| article(&mut body, action));
        body.push_str("</section>");
    }
    webhooks(&mut body, document);
    body.push_str("<section id=\"schemas\"><h2>Bodies</h2>");
    let components = document.get("components");
    for (name, schema) in members(components.and_then(|components| components.get("schemas"))) {
        _ = write!(body, "<article class=\"schema\" id=\"schema-{name}\"><h3>{name}</h3>");
        body.push_str(&prose(text(schema, "description")));
        shape(&mut body, schema);
        body.push_str("</article>");
    }
    body.push_str("</section></main>");
    framed("Postrider API", &body)
}

/// A page of the platform around a body.
pub(crate) fn framed(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>",
        escaped(title)
    )
}

fn nav(body: &mut String, document: &Value, actions: &[Described<'_>], console: bool) {
    body.push_str("<nav><a class=\"brand\" href=\"#top\">Postrider</a>");
    for tag in list(document.get("tags")) {
        let name = text(tag, "name");
        _ = write!(body, "<h2><a href=\"#{}\">{}</a></h2><ul>", slug(name), escaped(name));
        for action in actions.iter().filter(|action| action.tag() == name) {
            let (id, method) = (action.id(), action.method);
            let summary = escaped(text(action.action, "summary"));
            _ = write!(body, "<li><a href=\"#{id}\"><b class=\"{method}\">{method}</b>{summary}</a></li>");
        }
        body.push_str("</ul>");
    }
    body.push_str(
        "<h2><a href=\"#webhooks\">What the platform sends</a></h2><h2><a href=\"#schemas\">Bodies</a></h2>\
         <h2><a href=\"/docs/errors\">Errors</a></h2>",
    );
    if console {
        body.push_str("<h2><a href=\"/console\">Console</a></h2>");
    }
    body.push_str("</nav>");
}

fn head(body: &mut String, document: &Value) {
    let Some(info) = document.get("info") else { return };
    let server = list(document.get("servers")).first().map_or("", |server| text(server, "url"));
    _ = write!(
        body,
        "<header id=\"top\"><h1>Postrider API</h1><p class=\"facts\">version {} · base URL <code>{}</code> · <a \
         href=\"/openapi.json\">OpenAPI 3.1</a> · <a href=\"/docs/postman.json\" \
         download=\"postrider.postman_collection.json\">Postman collection</a> · <a \
         href=\"/docs/errors\">errors</a> · guides: <code>docs/README.md</code> of the release</p>{}</header>",
        escaped(text(info, "version")),
        escaped(server),
        prose(text(info, "description"))
    );
}

/// Credentials of a section's callers.
fn credentials(body: &mut String, document: &Value, first: &Described<'_>) {
    let needed = members(list(first.action.get("security")).first());
    if needed.is_empty() {
        return;
    }
    let schemes = document.get("components").and_then(|components| components.get("securitySchemes"));
    body.push_str("<dl class=\"credentials\">");
    for ((name, _), (header, value)) in needed.iter().zip(first.credentials()) {
        let about = schemes.and_then(|schemes| schemes.get(name)).map_or("", |scheme| text(scheme, "description"));
        _ = write!(
            body,
            "<div><dt><code>{}: {}</code></dt><dd>{}</dd></div>",
            escaped(header),
            escaped(&value),
            inline(about)
        );
    }
    body.push_str("</dl>");
}

fn article(body: &mut String, action: &Described<'_>) {
    let (id, method) = (action.id(), action.method);
    _ = write!(
        body,
        "<article id=\"{id}\"><h3><a href=\"#{id}\">{}</a></h3><p class=\"address\"><b class=\"{method}\">{method}</b> \
         <code>{}</code></p>{}",
        escaped(text(action.action, "summary")),
        escaped(action.path).replace('{', "<i>{").replace('}', "}</i>"),
        prose(text(action.action, "description"))
    );
    if !action.parameters.is_empty() {
        body.push_str("<h4>Parameters</h4><table>");
        for parameter in &action.parameters {
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
            row(body, text(parameter, "name"), text(parameter, "in"), schema, required, text(parameter, "description"));
        }
        body.push_str("</table>");
    }
    if let Some(sends) = action.action.get("requestBody") {
        body.push_str("<h4>Body</h4><ul class=\"content\">");
        for (media_type, content) in members(sends.get("content")) {
            let schema = content.get("schema").map(linked).unwrap_or_default();
            _ = write!(body, "<li>{schema} <span>{}</span></li>", escaped(media_type));
        }
        body.push_str("</ul>");
    }
    _ = write!(body, "<h4>Example</h4><pre><code>{}</code></pre>", escaped(&pretty(action)));
    body.push_str("<h4>Responses</h4><table class=\"answers\">");
    for (status, response) in action.responses() {
        if response.get("x-error-codes").is_some() {
            continue;
        }
        let content = members(response.get("content")).first();
        let schema = content.and_then(|(_, content)| content.get("schema")).map(linked).unwrap_or_default();
        let about = inline(text(response, "description"));
        _ = write!(body, "<tr><th class=\"good\">{status}</th><td>{about} {schema}</td></tr>");
    }
    body.push_str("</table>");
    let codes = action.codes();
    if !codes.is_empty() {
        let statuses: Vec<&str> = codes.iter().map(|(status, _)| *status).collect();
        _ = write!(body, "<details><summary>Errors: {}</summary><table class=\"answers\">", statuses.join(", "));
        for (status, codes) in codes {
            let links: Vec<String> =
                codes.iter().map(|code| format!("<a href=\"/docs/errors/{code}\">{code}</a>")).collect();
            _ = write!(body, "<tr><th class=\"bad\">{status}</th><td>{}</td></tr>", links.join(", "));
        }
        body.push_str("</table></details>");
    }
    body.push_str("</article>");
}

/// The example request with an indented body.
fn pretty(action: &Described<'_>) -> String {
    let command = action.curl();
    let Some((_, example)) = action.body() else { return command };
    let Ok(value) = wire::json::parse(example.as_bytes()) else { return command };
    let shown = super::indented(&value);
    let quoted = |text: &str| format!("-d '{}'", text.replace('\'', "'\\''"));
    command.replace(&quoted(&example), &quoted(&shown.trim_end().replace('\n', "\n  ")))
}

fn webhooks(body: &mut String, document: &Value) {
    body.push_str("<section id=\"webhooks\"><h2>Webhooks</h2><p>Requests by the platform to your URLs.</p>");
    for (name, hook) in members(document.get("webhooks")) {
        let Some(post) = hook.get("post") else { continue };
        _ = write!(
            body,
            "<article id=\"webhook-{name}\"><h3>{}</h3>{}<h4>Headers</h4><table>",
            escaped(text(post, "summary")),
            prose(text(post, "description"))
        );
        for header in list(post.get("parameters")) {
            let schema = header.get("schema").unwrap_or(&Value::Null);
            row(body, text(header, "name"), "", schema, false, text(header, "description"));
        }
        let content = post.get("requestBody").and_then(|sent| sent.get("content"));
        let schema = members(content).first().and_then(|(_, content)| content.get("schema")).map(linked);
        _ = write!(
            body,
            "</table><h4>Body</h4><p>{}</p><h4>Effect of your response</h4><table class=\"answers\">",
            schema.unwrap_or_default()
        );
        for (status, response) in members(post.get("responses")) {
            _ = write!(body, "<tr><th>{status}</th><td>{}</td></tr>", inline(text(response, "description")));
        }
        body.push_str("</table></article>");
    }
    body.push_str("</section>");
}

/// A schema as tables.
fn shape(body: &mut String, schema: &Value) {
    let properties = members(schema.get("properties"));
    if properties.is_empty() {
        for alternatives in ["oneOf", "anyOf"] {
            let all: Vec<String> = list(schema.get(alternatives)).iter().map(linked).collect();
            if !all.is_empty() {
                _ = write!(body, "<p>One of {}.</p>", all.join(", "));
                return;
            }
        }
        if let Some(names) = schema.get("enum").and_then(Value::as_array) {
            let all: Vec<String> =
                names.iter().filter_map(Value::as_str).map(|name| format!("<code>{}</code>", escaped(name))).collect();
            _ = write!(body, "<p class=\"names\">{}</p>", all.join(" "));
            return;
        }
        _ = write!(body, "<p>{}</p>", linked(schema));
        return;
    }
    body.push_str("<table>");
    rows(body, "", schema);
    body.push_str("</table>");
}

fn rows(body: &mut String, before: &str, schema: &Value) {
    let required: Vec<&str> = list(schema.get("required")).iter().filter_map(Value::as_str).collect();
    for (name, property) in members(schema.get("properties")) {
        let path = format!("{before}{name}");
        row(body, &path, "", property, required.contains(&name.as_str()), text(property, "description"));
        if property.get("properties").is_some() {
            rows(body, &format!("{path}."), property);
        }
        if let Some(items) = property.get("items").filter(|items| items.get("properties").is_some()) {
            rows(body, &format!("{path}[]."), items);
        }
    }
}

fn row(body: &mut String, name: &str, place: &str, schema: &Value, required: bool, about: &str) {
    let place = if place.is_empty() { String::new() } else { format!("<small>{place}</small>") };
    let required = if required { "<small class=\"required\">required</small>" } else { "" };
    let read_only = if schema.get("readOnly").is_some() { "<small>read-only</small>" } else { "" };
    _ = write!(
        body,
        "<tr><th><code>{}</code>{place}{required}{read_only}</th><td><span class=\"kind\">{}</span>{}</td></tr>",
        escaped(name),
        linked(schema),
        inline(about)
    );
}

/// A schema in a few words, linked if it has a name.
fn linked(schema: &Value) -> String {
    let link = |name: &str| format!("<a href=\"#schema-{name}\">{name}</a>");
    if let Some(name) = referred(schema) {
        return link(name);
    }
    match schema.get("items").and_then(referred) {
        Some(name) => escaped(&kind(schema)).replacen(name, &link(name), 1),
        None => escaped(&kind(schema)),
    }
}

/// The subset of CommonMark used by the description: paragraphs, lists, code, bold.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        if paragraph.starts_with("- ") {
            let items: String =
                paragraph.lines().map(|line| format!("<li>{}</li>", inline(line.trim_start_matches("- ")))).collect();
            _ = write!(html, "<ul>{items}</ul>");
        } else {
            _ = write!(html, "<p>{}</p>", inline(paragraph));
        }
    }
    html
}

fn inline(text: &str) -> String {
    let toggled = |text: &str, mark: &str, tag: &str| -> String {
        let parts = text.split(mark).enumerate();
        parts
            .map(|(index, part)| if index % 2 == 1 { format!("<{tag}>{part}</{tag}>") } else { part.to_owned() })
            .collect()
    };
    toggled(&toggled(&escaped(text), "`", "code"), "**", "strong")
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Escapes text for a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
