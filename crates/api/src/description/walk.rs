//! Traversal of the document for derived formats: its actions in order, with examples.

use wire::json::Value;

/// An action in the document.
pub(super) struct Described<'d> {
    pub(super) document: &'d Value,
    pub(super) path: &'d str,
    /// Method, in lower case.
    pub(super) method: &'d str,
    pub(super) action: &'d Value,
    /// Parameters of its path, then its own.
    pub(super) parameters: Vec<&'d Value>,
}

/// All actions, in the order of the document.
pub(super) fn actions(document: &Value) -> Vec<Described<'_>> {
    let mut all = Vec::new();
    for (path, methods) in members(document.get("paths")) {
        let of_path = list(methods.get("parameters"));
        for (method, action) in members(Some(methods)).iter().filter(|(name, _)| name != "parameters") {
            let parameters = of_path.iter().chain(list(action.get("parameters"))).collect();
            all.push(Described { document, path, method, action, parameters });
        }
    }
    all
}

/// The members of an object; none for other values.
pub(super) fn members(value: Option<&Value>) -> &[(String, Value)] {
    value.and_then(Value::as_object).unwrap_or_default()
}

/// The elements of an array; none for other values.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).unwrap_or_default()
}

/// The text of a member, or an empty one.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Target of a `$ref`.
pub(super) fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(pointer) = value.get("$ref").and_then(Value::as_str) else { return value };
    let mut steps = pointer.trim_start_matches("#/").split('/');
    steps.try_fold(document, |at, step| at.get(step)).unwrap_or(value)
}

/// Name of a `$ref`'s target.
pub(super) fn referred(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.rsplit('/').next()
}

impl<'d> Described<'d> {
    /// Name of the action.
    pub(super) fn id(&self) -> &'d str {
        text(self.action, "operationId")
    }

    /// Section of the API.
    pub(super) fn tag(&self) -> &'d str {
        list(self.action.get("tags")).first().and_then(Value::as_str).unwrap_or_default()
    }

    /// Media type and example of its primary request body.
    pub(super) fn body(&self) -> Option<(&'d str, String)> {
        let content = self.action.get("requestBody")?.get("content")?;
        let (media_type, body) = content.as_object()?.first()?;
        let example = body.get("example").or_else(|| {
            let schema = resolved(self.document, body.get("schema")?);
            schema.get("examples")?.as_array()?.first()
        })?;
        Some((media_type, example.to_canonical()))
    }

    /// The headers with the caller's credentials, each with a shell variable.
    pub(super) fn credentials(&self) -> Vec<(&'d str, String)> {
        let schemes = self.document.get("components").and_then(|components| components.get("securitySchemes"));
        let needed = list(self.action.get("security")).first();
        let mut headers = Vec::new();
        for (name, _) in members(needed) {
            let Some(scheme) = schemes.and_then(|schemes| schemes.get(name)) else { continue };
            let variable = shouted(name);
            match text(scheme, "type") {
                "http" => headers.push(("Authorization", format!("Bearer ${variable}"))),
                _ => headers.push((text(scheme, "name"), format!("${variable}"))),
            }
        }
        headers
    }

    /// The same request as a `curl` command.
    pub(super) fn curl(&self) -> String {
        let server = list(self.document.get("servers")).first().map_or("", |server| text(server, "url"));
        let path = self.path.split('{').enumerate().map(|(index, part)| match (index, part.split_once('}')) {
            (1.., Some((name, rest))) => format!("${}{rest}", shouted(name)),
            _ => part.to_owned(),
        });
        let path: String = path.collect();
        let mut lines = vec![match self.method {
            "get" => format!("curl \"{server}{path}\""),
            method => format!("curl -X {} \"{server}{path}\"", method.to_ascii_uppercase()),
        }];
        lines.extend(self.credentials().iter().map(|(name, value)| format!("-H \"{name}: {value}\"")));
        if text(self.action, "operationId") == "sendEventsApi" {
            lines.push("-H \"X-Akeneo-Request-Timestamp: $TIMESTAMP\"".to_owned());
        }
        if let Some((media_type, example)) = self.body() {
            lines.push(format!("-H 'Content-Type: {media_type}'"));
            lines.push(format!("-d '{}'", example.replace('\'', "'\\''")));
        }
        lines.join(" \\\n  ")
    }

    /// Its responses: status and content, with references resolved.
    pub(super) fn responses(&self) -> Vec<(&'d str, &'d Value)> {
        let responses = members(self.action.get("responses"));
        responses.iter().map(|(status, response)| (status.as_str(), resolved(self.document, response))).collect()
    }

    /// Its error codes by status.
    pub(super) fn codes(&self) -> Vec<(&'d str, Vec<&'d str>)> {
        let refusals = self.responses().into_iter().filter(|(_, response)| response.get("x-error-codes").is_some());
        refusals
            .map(|(status, response)| {
                (status, list(response.get("x-error-codes")).iter().filter_map(Value::as_str).collect())
            })
            .collect()
    }
}

/// `pimClientId` as `PIM_CLIENT_ID`.
fn shouted(name: &str) -> String {
    let mut shouted = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            shouted.push('_');
        }
        shouted.push(letter.to_ascii_uppercase());
    }
    shouted
}

/// A schema in a few words: `string (date-time), 1 to 255 characters`.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return name.to_owned();
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_canonical();
    }
    let all = |name: &str| list(schema.get(name)).iter().map(kind).collect::<Vec<_>>().join(" or ");
    for alternatives in ["oneOf", "anyOf"] {
        if schema.get(alternatives).is_some() && schema.get("type").is_none() {
            return all(alternatives);
        }
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let mut said = match schema.get("enum").and_then(Value::as_array) {
        Some(values) if values.len() > 12 => format!("one of {} names", values.len()),
        Some(values) => values.iter().map(Value::to_canonical).collect::<Vec<_>>().join(" or "),
        None => names.join(" or "),
    };
    if names.first() == Some(&"array")
        && let Some(items) = schema.get("items")
    {
        said = said.replacen("array", &format!("array of {}", kind(items)), 1);
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        said.push_str(&format!(" ({format})"));
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_number).map(|number| number.as_str().to_owned());
    let between = |least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most}{what}"),
        (Some(least), None) => format!(", at least {least}{what}"),
        (None, Some(most)) => format!(", at most {most}{what}"),
        (None, None) => String::new(),
    };
    said.push_str(&between(bound("minLength"), bound("maxLength"), " characters"));
    said.push_str(&between(bound("minimum"), bound("maximum"), ""));
    said.push_str(&between(bound("minItems"), bound("maxItems"), " items"));
    said.push_str(&between(bound("minProperties"), bound("maxProperties"), " members"));
    said
}
