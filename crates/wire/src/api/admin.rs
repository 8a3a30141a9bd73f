//! Bodies of the operator API: a new PIM, a client's admission and permission, a suspension.

mod new_pim;
mod query;

use domain::pim;

use super::reader::{Reader, read};
use super::shape::{Field, Form, Object, Shape};
use crate::fault::{Fault, code};
use crate::json::Value;

pub(super) use new_pim::NEW_PIM;
pub use new_pim::{NewPim, parse_new_pim, way};
pub use query::{
    CLIENTS_QUERY, ClientPlace, ClientsQuery, PIMS_QUERY, PimsQuery, SUBSCRIPTIONS_QUERY, SubscriptionsQuery,
    TRAFFIC_QUERY, parse_clients_query, parse_pims_query, parse_subscriptions_query, parse_traffic_query,
};

/// Length of a reason.
const REASON: (usize, usize) = (1, 500);

const PIM: Field = Field::optional(
    "pim",
    Shape::Text(Form::of_pattern(pim::NAME_PATTERN).examples(&["shop"])),
    "Name of the PIM that issued the client id; optional if only one PIM is registered.",
);

/// Selects the PIM of a client.
pub(super) const WHICH_PIM: Object = Object::new(&[PIM]);

/// Whether a client may use the platform.
pub(super) const PERMISSION: Object = Object::new(&[
    PIM,
    Field::required("permitted", Shape::Truth, "Withdrawing it (`false`) suspends the client's active subscriptions."),
]);

/// A suspension by the operator.
pub(super) const SUSPENSION: Object = Object::new(&[Field::required(
    "reason",
    Shape::Text(
        Form::of_length(REASON)
            .pattern(
                "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f]\
                 [^\\u0000-\\u001f\\u007f-\\u009f]*$",
            )
            .examples(&["floods our proxy"]),
    ),
    "The reason, on one line; the owner is notified with it.",
)]);

fn named_pim(fields: &mut Reader<'_, '_>) -> Option<String> {
    fields.string("pim").map(str::to_owned)
}

/// Reads the body of `POST /admin/clients/{client_id}/admission`: the PIM's name, if given.
pub fn parse_which_pim(body: &Value) -> Result<Option<String>, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", WHICH_PIM.fields, faults)?;
        let pim = named_pim(&mut fields);
        fields.finish();
        Some(pim)
    })
}

/// Reads the body of `POST /admin/clients/{client_id}/permission`: the PIM's name, if given, and the permission.
pub fn parse_permission(body: &Value) -> Result<(Option<String>, bool), Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", PERMISSION.fields, faults)?;
        let pim = named_pim(&mut fields);
        let permitted = fields.required("permitted").is_some() && fields.boolean("permitted");
        fields.finish();
        Some((pim, permitted))
    })
}

/// Reads the body of `POST /admin/subscriptions/{id}/suspend`: the reason.
pub fn parse_suspension(body: &Value) -> Result<String, Vec<Fault>> {
    read(|faults| {
        let mut fields = Reader::new(body, "", SUSPENSION.fields, faults)?;
        let reason = fields.required_text("reason");
        if reason.is_some_and(|reason| reason.trim().is_empty() || reason.contains(char::is_control)) {
            let message =
                format!("must be 1 to {} characters on one line, because the owner is notified with it", REASON.1);
            fields.fault("reason", code::INVALID_VALUE, message);
        }
        fields.finish();
        Some(reason?.trim().to_owned())
    })
}
