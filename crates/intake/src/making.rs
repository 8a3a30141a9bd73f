//! The events created from a notice. Their `data` is written directly in canonical form.

use domain::Event;
use domain::event::EventParts;
use domain::event_type::{PRODUCT_MODEL_UPDATED_DELTA, PRODUCT_UPDATED_DELTA};
use uuid::Uuid;
use wire::json::{Value, escape_into};

use crate::entity::{NAMESPACE, PimEntity, hyphenated};
use crate::notice::{Action, Notice};
use crate::state::State;

/// The event that reports a change.
pub fn event(notice: &Notice) -> Event {
    let event_type = match (&notice.entity, notice.action) {
        (PimEntity::Product { .. }, Action::Created) => "com.akeneo.pim.v1.product.created",
        (PimEntity::Product { .. }, Action::Updated) => "com.akeneo.pim.v1.product.updated",
        (PimEntity::Product { .. }, Action::Removed) => "com.akeneo.pim.v1.product.deleted",
        (PimEntity::ProductModel { .. }, Action::Created) => "com.akeneo.pim.v1.product-model.created",
        (PimEntity::ProductModel { .. }, Action::Updated) => "com.akeneo.pim.v1.product-model.updated",
        (PimEntity::ProductModel { .. }, Action::Removed) => "com.akeneo.pim.v1.product-model.deleted",
    };
    write(notice, &notice.id, event_type, "")
}

/// The event that lists the changes.
pub fn delta_event(notice: &Notice, changes: &Value) -> Event {
    let event_type = match notice.entity {
        PimEntity::Product { .. } => PRODUCT_UPDATED_DELTA,
        PimEntity::ProductModel { .. } => PRODUCT_MODEL_UPDATED_DELTA,
    };
    let mut more = String::from(",\"updated_at\":");
    escape_updated_at(&mut more, notice);
    more.push_str(",\"changes\":");
    more.push_str(&changes.to_canonical());
    write(notice, &delta_id(&notice.id), event_type, &more)
}

/// Id of an event's delta (contract page 7): a UUIDv5 of `delta` in the namespace of the event's id, which is first
/// converted to a UUID if it is not one.
pub fn delta_id(event_id: &str) -> String {
    let base = hyphenated(event_id).unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, event_id.as_bytes()));
    Uuid::new_v5(&base, b"delta").hyphenated().to_string()
}

/// `{"date":"YYYY-MM-DD hh:mm:ss.ffffff","timezone":"UTC"}` (contract page 2): time of the entity's change, or else of
/// the event.
fn escape_updated_at(out: &mut String, notice: &Notice) {
    let changed = notice.state.as_ref().ok().and_then(State::updated_at);
    let at = changed.or_else(|| domain::Timestamp::parse(&notice.time));
    let text = at.unwrap_or_default().to_string();
    out.push_str("{\"date\":");
    escape_into(out, &text.trim_end_matches('Z').replace('T', " "));
    out.push_str(",\"timezone\":\"UTC\"}");
}

fn write(notice: &Notice, id: &str, event_type: &str, more: &str) -> Event {
    let mut data = String::with_capacity(160 + more.len());
    let mut product_identifier = None;
    match &notice.entity {
        PimEntity::Product { uuid, identifier } => {
            data.push_str("{\"product\":{\"uuid\":");
            escape_into(&mut data, &uuid.hyphenated().to_string());
            if let Some(identifier) = identifier {
                let start = data.len();
                data.push_str(",\"identifier\":");
                escape_into(&mut data, identifier);
                product_identifier = Some(start..data.len());
            }
        }
        PimEntity::ProductModel { code } => {
            data.push_str("{\"product_model\":{\"code\":");
            escape_into(&mut data, code);
        }
    }
    data.push_str(more);
    data.push('}');
    data.push_str(",\"author\":{");
    if let Some(author) = &notice.author {
        data.push_str("\"identifier\":");
        escape_into(&mut data, author);
        data.push(',');
    }
    data.push_str("\"type\":");
    escape_into(&mut data, notice.author_type);
    data.push_str("}}");
    Event::new(EventParts { id, event_type, time: &notice.time, extensions: "", data: &data, product_identifier })
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use wire::json::parse;

    use super::*;
    use crate::notice::{Received, read};

    fn notice(event: &str) -> Notice {
        let body = format!("{{\"events\":[{event}]}}");
        match read("main", body.as_bytes(), Timestamp::EPOCH).unwrap().remove(0) {
            Received::Notice(notice) => *notice,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_delta_of_a_product() {
        let notice = notice(
            r#"{"action":"product.updated","event_id":"9d477743-3e50-486a-a2d0-9bb9ced4ec0b",
                "event_datetime":"2026-11-03T09:00:13+01:00","author":"peter \"p\"","author_type":"ui",
                "data":{"resource":{"uuid":"a51e56dd-560f-5fb4-81d1-af2588c9ab23","identifier":"a\\b",
                    "updated":"2026-11-03T10:00:12+02:00"}}}"#,
        );
        let made = delta_event(&notice, &parse(br#"{"enabled":{"previous":true,"new":false}}"#).unwrap());
        assert_eq!(made.event_type(), "com.akeneo.pim.v1.product.updated.delta");
        assert_eq!(made.time(), "2026-11-03T08:00:13Z");
        assert_eq!(
            made.data(),
            concat!(
                r#"{"product":{"uuid":"a51e56dd-560f-5fb4-81d1-af2588c9ab23","identifier":"a\\b","#,
                r#""updated_at":{"date":"2026-11-03 08:00:12.000000","timezone":"UTC"},"#,
                r#""changes":{"enabled":{"previous":true,"new":false}}},"author":{"identifier":"peter \"p\"","type":"user"}}"#
            )
        );
        assert_eq!(made.data().get(made.product_identifier().unwrap()), Some(r#","identifier":"a\\b""#));
        let base = Uuid::try_parse(&notice.id).unwrap();
        assert_eq!(made.id(), Uuid::new_v5(&base, b"delta").to_string());
    }

    #[test]
    fn a_model_without_a_known_author() {
        let notice = notice(
            r#"{"action":"product_model.removed","event_id":"no uuid","event_datetime":"2026-11-03T09:00:13Z",
                "data":{"resource":{"code":"amor"}}}"#,
        );
        let made = event(&notice);
        assert_eq!(made.event_type(), "com.akeneo.pim.v1.product-model.deleted");
        assert_eq!(made.data(), r#"{"product_model":{"code":"amor"},"author":{"type":"unknown-user-type"}}"#);
        assert_eq!((made.id(), made.product_identifier()), ("no uuid", None));
        // Converted to a UUID first.
        let base = Uuid::new_v5(&NAMESPACE, b"no uuid");
        assert_eq!(delta_id("no uuid"), Uuid::new_v5(&base, b"delta").to_string());
    }
}
