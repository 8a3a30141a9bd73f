//! Error responses: the codes of each status, and their meanings.

use wire::fault::code;
use wire::json::Value;

use super::{object, reference};
use crate::description::operation::Refuses;
use crate::refusal::because;
use crate::route::Audience;

pub(super) fn common_responses(audience: Audience) -> Vec<(String, Value)> {
    let codes = audience.codes();
    let statuses = statuses(&codes);
    statuses.into_iter().map(|status| (audience.common(status), refusal(status, &codes))).collect()
}

pub(super) fn statuses(codes: &[Refuses]) -> Vec<u16> {
    let mut statuses: Vec<u16> = codes.iter().map(|one| one.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The response with a status: its possible codes with their meanings.
pub(super) fn refusal(status: u16, codes: &[Refuses]) -> Value {
    let codes: Vec<&str> = codes.iter().filter(|one| one.status == status).map(|one| one.code).collect();
    let listed: Vec<String> = codes.iter().map(|code| format!("- `{code}`: {}", meaning(code))).collect();
    let mut response = vec![
        ("description".to_owned(), Value::from(listed.join("\n"))),
        ("content".to_owned(), object([("application/json", object([("schema", reference("schemas", "Errors"))]))])),
        ("x-error-codes".to_owned(), Value::Array(codes.iter().map(|code| Value::from(*code)).collect())),
    ];
    let header = |about: &str, schema: &str| {
        object([("description", about.into()), ("schema", object([("type", schema.into())]))])
    };
    let headers = match status {
        401 => Some(("WWW-Authenticate", header("Required by RFC 9110 with every 401.", "string"))),
        429 => Some(("Retry-After", header("Seconds to wait.", "integer"))),
        _ => None,
    };
    if let Some((name, header)) = headers {
        response.insert(1, ("headers".to_owned(), Value::Object(vec![(name.to_owned(), header)])));
    }
    Value::Object(response)
}

/// Meaning of a code.
fn meaning(name: &str) -> &'static str {
    let refused = because::ALL.iter().find(|code| code.name == name).map(|code| code.meaning);
    let fault = || code::ALL.iter().find(|(code, _)| *code == name).map(|(_, meaning)| *meaning);
    refused.or_else(fault).unwrap_or_default()
}

/// All codes, without duplicates.
pub(super) fn all_codes() -> Vec<&'static str> {
    let mut codes: Vec<&str> = because::ALL.iter().map(|code| code.name).collect();
    codes.extend(code::ALL.iter().map(|(name, _)| *name));
    codes.sort_unstable();
    codes.dedup();
    codes
}
