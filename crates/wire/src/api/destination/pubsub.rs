//! `config` of a Google Pub/Sub topic.

use domain::destination::{Destination, PubsubDestination};

use super::super::reader::Reader;
use super::super::shape::{Field, Form, Object, Shape};
use super::{Config, HEADERS, headers};
use crate::fault::code;
use crate::json::Value;

pub(super) const CONFIG: Config =
    Config { fields: &FIELDS, read: |fields, _| read(fields).map(Destination::Pubsub), outdate: |_, _| {} };

/// The fields of `config`: Google's naming rules.
const FIELDS: Object = Object::new(&[
    Field::required(
        "project_id",
        Shape::Text(
            Form::of_pattern(PubsubDestination::PROJECT_ID_PATTERN).examples(&["my-project", "example.com:my-project"]),
        ),
        "Google project.",
    ),
    Field::required(
        "topic_id",
        Shape::Text(Form::of_pattern(PubsubDestination::TOPIC_ID_PATTERN).examples(&["pim-events"])),
        "The topic, without `projects/…/topics/`.",
    ),
    HEADERS,
]);

fn read(fields: &mut Reader<'_, '_>) -> Option<PubsubDestination> {
    let project_id = fields.required_string("project_id");
    if let Some(Err(error)) = project_id.map(PubsubDestination::check_project_id) {
        fields.fault("project_id", code::INVALID_PROJECT_ID, format_args!("is invalid: {error}"));
    }
    let topic_id = fields.required_string("topic_id");
    if let Some(Err(error)) = topic_id.map(PubsubDestination::check_topic_id) {
        fields.fault("topic_id", code::INVALID_TOPIC_ID, format_args!("is invalid: {error}"));
    }
    let headers = headers::read(fields, PubsubDestination::check_attribute);
    Some(PubsubDestination { project_id: project_id?.to_owned(), topic_id: topic_id?.to_owned(), headers })
}

pub(super) fn members(pubsub: &PubsubDestination) -> Vec<(String, Value)> {
    vec![
        ("project_id".to_owned(), pubsub.project_id.as_str().into()),
        ("topic_id".to_owned(), pubsub.topic_id.as_str().into()),
    ]
}
