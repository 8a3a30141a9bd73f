//! Inputs of a form, with their values, explanations and faults.

use maud::{Markup, html};
use serde_json::Value;

use super::{Field, Kind, choice_label, id, label};
use crate::answer::Fault;
use crate::layout;
use crate::pages::filter;
use crate::query::Pairs;
use crate::words::{prose, short_type};

/// Explanations in the words of a form, where those of the API are about a request.
const OWN_WORDS: [(&str, &str); 4] = [
    ("events", "Types to deliver: at least one."),
    (
        "config.url",
        "URL of the endpoint: `https`, without user info and fragment. `http` only if the operator allows it.",
    ),
    ("options", "All off by default."),
    ("config.headers", "Sent with every event. One `Name: value` per line."),
];

fn about(field: &Field) -> &str {
    OWN_WORDS.iter().find(|(path, _)| *path == field.path).map_or(&field.about, |(_, words)| words)
}

/// What a form shows: the stored values, or what was sent and refused.
#[derive(Clone, Copy)]
pub(crate) struct Filled<'a> {
    /// Stored values; `null` for a creation.
    pub(crate) stored: &'a Value,
    /// The form as sent, if it was refused.
    pub(crate) sent: Option<&'a Pairs>,
    /// Faults of what was sent.
    pub(crate) faults: &'a [Fault],
}

impl Filled<'_> {
    fn stored(&self, path: &str) -> &Value {
        path.split('.').fold(self.stored, |value, name| value.get(name).unwrap_or(&Value::Null))
    }

    fn text(&self, path: &str) -> String {
        match (self.sent, self.stored(path)) {
            (Some(sent), _) => sent.get(path).to_owned(),
            (None, Value::String(text)) => text.clone(),
            (None, Value::Null) => String::new(),
            (None, other) => other.to_string(),
        }
    }

    fn is_set(&self, path: &str) -> bool {
        self.sent.map_or_else(|| self.stored(path).as_bool() == Some(true), |sent| sent.has(path))
    }

    fn has(&self, path: &str, name: &str) -> bool {
        match self.sent {
            Some(sent) => sent.all(path).any(|chosen| chosen == name),
            None => self.stored(path).as_array().is_some_and(|list| list.iter().any(|one| one == name)),
        }
    }

    /// Faults at a field, or within it.
    fn faults_at<'s>(&'s self, path: &'s str, within: bool) -> impl Iterator<Item = &'s Fault> {
        self.faults.iter().filter(move |fault| is_at(&fault.field, path, within))
    }
}

fn is_at(field: &str, path: &str, within: bool) -> bool {
    match field.strip_prefix(path) {
        Some("") => true,
        Some(rest) => within && rest.starts_with(['.', '[']),
        None => false,
    }
}

/// The inputs of fields.
pub(crate) fn inputs(fields: &[Field], filled: Filled<'_>) -> Markup {
    html! { @for field in fields { (input(field, filled)) } }
}

/// Faults that no field of the form shows.
pub(crate) fn rest(fields: &[Field], faults: &[Fault]) -> Vec<Fault> {
    faults.iter().filter(|fault| !fields.iter().any(|field| shows(field, &fault.field))).cloned().collect()
}

fn shows(field: &Field, at: &str) -> bool {
    match &field.kind {
        Kind::Group(members) => at == field.path || members.iter().any(|member| shows(member, at)),
        _ => is_at(at, &field.path, true),
    }
}

fn input(field: &Field, filled: Filled<'_>) -> Markup {
    let (path, id) = (&field.path, id(&field.path));
    if let Kind::Group(members) = &field.kind {
        return html! {
            fieldset id=(id) {
                legend { (heading(field)) @if !field.required { (optional()) } }
                @if !about(field).is_empty() { p.help { (prose(about(field))) } }
                (errors(&id, filled.faults_at(path, false)))
                (inputs(members, filled))
            }
        };
    }
    let wrong = filled.faults_at(path, true).next().is_some();
    let described = format!("{id}-help {id}-error");
    let invalid = wrong.then_some("true");
    let text = filled.text(path);
    let control = match &field.kind {
        Kind::Truth => html! {
            label.check for=(id) {
                input type="checkbox" id=(id) name=(path) checked[filled.is_set(path)] aria-describedby=(described);
                " " (label(&field.name))
            }
        },
        Kind::Set(names) => return set(field, names, filled),
        Kind::Choice(names) => html! {
            select id=(id) name=(path) aria-describedby=(described) aria-invalid=[invalid] {
                @if !field.required { option value="" { "default" } }
                @for name in names { option value=(name) selected[*name == text] { (choice_label(name)) } }
            }
        },
        Kind::Lines | Kind::Filter | Kind::Json => html! {
            textarea id=(id) name=(path) rows="4" spellcheck="false" aria-describedby=(described)
                aria-invalid=[invalid] { (text) }
        },
        Kind::Map => html! {
            textarea id=(id) name=(path) rows="3" spellcheck="false" aria-describedby=(described)
                aria-invalid=[invalid] placeholder="Name: value" { (map_lines(path, filled)) }
        },
        Kind::Secret(long) => {
            let kept = !filled.stored(path).is_null() && filled.stored(path).as_str() != Some("");
            let lost = filled.sent.is_some_and(|sent| !sent.get(path).is_empty());
            let hint = match (lost, kept) {
                (true, _) => "enter it again: a page never contains secrets",
                (false, true) => "unchanged",
                (false, false) => "",
            };
            html! {
                @if *long {
                    textarea id=(id) name=(path) rows="4" spellcheck="false" autocomplete="off" placeholder=(hint)
                        aria-describedby=(described) aria-invalid=[invalid] {}
                } @else {
                    input type="password" id=(id) name=(path) autocomplete="new-password" placeholder=(hint)
                        aria-describedby=(described) aria-invalid=[invalid];
                }
            }
        }
        Kind::Number => html! {
            input id=(id) name=(path) value=(text) inputmode="decimal" aria-describedby=(described)
                aria-invalid=[invalid];
        },
        Kind::Line | Kind::Group(_) => html! {
            input id=(id) name=(path) value=(text) placeholder=(field.example) autocomplete="off" spellcheck="false"
                aria-describedby=(described) aria-invalid=[invalid];
        },
    };
    html! {
        div.field {
            @if field.kind != Kind::Truth {
                label for=(id) { (label(&field.name)) @if !field.required { (optional()) } }
            }
            (control)
            @if field.kind == Kind::Filter { (filter::help(&id)) }
            @else { p.help id={ (id) "-help" } { (prose(about(field))) } }
            (errors(&id, filled.faults_at(path, true)))
        }
    }
}

/// The label of a group; `config` is that of the destination.
fn heading(field: &Field) -> String {
    if field.path == "config" { "Destination".to_owned() } else { label(&field.name) }
}

fn optional() -> Markup {
    html! { small { " optional" } }
}

fn errors<'f>(id: &str, faults: impl Iterator<Item = &'f Fault>) -> Markup {
    let mut faults = faults.peekable();
    html! {
        @if faults.peek().is_some() {
            div.error id={ (id) "-error" } role="alert" {
                @for fault in faults { p { (layout::fault_at(fault)) } }
            }
        }
    }
}

/// The fields at fault, above a long form.
pub(crate) fn summary(fields: &[Field], faults: &[Fault]) -> Markup {
    let mut wrong = Vec::new();
    collect(fields, faults, &mut wrong);
    html! {
        @if !wrong.is_empty() {
            div.notice.bad role="alert" {
                p { "Nothing was saved. To correct: "
                    @for (index, (path, label)) in wrong.iter().enumerate() {
                        @if index > 0 { ", " } a href={ "#" (id(path)) } { (label) }
                    }
                }
            }
        }
    }
}

fn collect(fields: &[Field], faults: &[Fault], wrong: &mut Vec<(String, String)>) {
    for field in fields {
        let members = if let Kind::Group(members) = &field.kind { members.as_slice() } else { &[] };
        if faults.iter().any(|fault| is_at(&fault.field, &field.path, members.is_empty())) {
            wrong.push((field.path.clone(), label(&field.name)));
        }
        collect(members, faults, wrong);
    }
}

/// Checkboxes, grouped by the first part of their names.
fn set(field: &Field, names: &[String], filled: Filled<'_>) -> Markup {
    let id = id(&field.path);
    let family = |name: &str| short_type(name).split('.').next().unwrap_or_default().to_owned();
    let mut families: Vec<String> = Vec::new();
    for name in names {
        if families.last() != Some(&family(name)) && !families.contains(&family(name)) {
            families.push(family(name));
        }
    }
    html! {
        fieldset.set id=(id) aria-describedby={ (id) "-help" } {
            legend { (label(&field.name)) @if !field.required { (optional()) } }
            p.help id={ (id) "-help" } { (prose(about(field))) }
            (errors(&id, filled.faults_at(&field.path, true)))
            div.choices {
                @for family_name in &families {
                    div role="group" aria-label=(family_name) {
                        @for name in names.iter().filter(|name| family(name) == *family_name) {
                            label.check title=(name) {
                                input type="checkbox" name=(field.path) value=(name) checked[filled.has(&field.path,
                                    name)];
                                " " (short_type(name))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn map_lines(path: &str, filled: Filled<'_>) -> String {
    if let Some(sent) = filled.sent {
        return sent.get(path).to_owned();
    }
    let stored = filled.stored(path).as_object();
    let line = |(name, value): (&String, &Value)| format!("{name}: {}", value.as_str().unwrap_or_default());
    stored.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::all;
    use super::*;

    fn shown(stored: &Value, sent: Option<&str>, faults: &[(&str, &str)]) -> (String, usize) {
        let faults = fault_list(faults);
        let sent = sent.map(Pairs::parse);
        let filled = Filled { stored, sent: sent.as_ref(), faults: &faults };
        (inputs(&all(), filled).into_string(), rest(&all(), &faults).len())
    }

    fn fault_list(faults: &[(&str, &str)]) -> Vec<Fault> {
        let fault = |(field, message): &(&str, &str)| Fault {
            message: (*message).to_owned(),
            code: "invalid_value".to_owned(),
            field: (*field).to_owned(),
        };
        faults.iter().map(fault).collect()
    }

    #[test]
    fn a_refused_form_shows_what_was_sent_with_each_fault_at_its_field() {
        let faults = [
            ("config.url", "must be a URL"),
            ("events[0]", "is unknown"),
            ("config.headers.X-A", "is reserved"),
            ("config.tls", "is incomplete"),
            ("", "too many"),
            ("config.other", "is unknown"),
        ];
        let sent = "config.url=%22%3E%3Cscript%3E&config.secret.primary=hidden&events=a.updated&options.hold=on";
        let (page, rest) = shown(&Value::Null, Some(sent), &faults);
        assert_eq!(rest, 2, "faults without a field of the form");
        let after = |id: &str| page.split_once(&format!("id=\"{id}-error\"")).unwrap().1[..120].to_owned();
        assert!(after("f-config-url").contains("Must be a URL"));
        assert!(after("f-events").contains("Is unknown"));
        assert!(after("f-config-headers").contains("Is reserved"));
        assert!(after("f-config-tls").contains("Is incomplete"));
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("enter it again"), "a secret that was sent is asked for again");
        let summary = summary(&all(), &fault_list(&faults)).into_string();
        assert_eq!(summary.matches("<a ").count(), 4, "{summary}");
        assert!(summary.contains("href=\"#f-config-url\">URL"), "{summary}");
        assert!(!page.contains("hidden\""), "a secret is not sent back");
        assert!(page.contains("value=\"a.updated\" checked"), "{page}");
        assert!(page.contains("name=\"options.hold\" checked"), "{page}");
    }

    #[test]
    fn an_edit_shows_stored_values_but_no_secrets() {
        let stored = json!({"events": ["a.created"], "filter": "a=\"b\"", "config": {"url": "https://x",
            "secret": {"primary": "***redacted***"}, "headers": {"X-A": "***redacted***"}}, "options": {"ordering":
                "none"}});
        let (page, _) = shown(&stored, None, &[]);
        assert!(page.contains("value=\"https://x\""), "{page}");
        assert!(page.contains("a=&quot;b&quot;</textarea>"), "{page}");
        assert!(page.contains("X-A: ***redacted***</textarea>"), "{page}");
        assert!(page.contains("placeholder=\"unchanged\""), "{page}");
        assert!(page.contains("<option value=\"none\" selected>"), "{page}");
        assert!(
            page.contains("value=\"a.created\" checked") && !page.contains("value=\"a.updated\" checked"),
            "{page}"
        );
    }
}
