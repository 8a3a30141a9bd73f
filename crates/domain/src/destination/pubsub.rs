//! Google Pub/Sub topics, and Google's naming rules for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::descriptor::Traits;
use super::{BatchLimits, CustomHeaders, Descriptor, DestinationType, HeaderError, Manner, Target};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "pubsub",
    format: 1,
    // Google accepts at most 1,000 messages per request.
    manner: Manner::InBatches(BatchLimits { events: 1_000, bytes: 1024 * 1024 }),
    carries_traces: false,
    guide: "integrators/subscriptions.md#google-pubsub",
};

/// Host of all topics.
const HOST: &str = "pubsub.googleapis.com";

/// A Google Pub/Sub topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PubsubDestination {
    /// The project.
    pub project_id: String,
    /// The topic within the project.
    pub topic_id: String,
    /// Sent as attributes.
    #[serde(default)]
    pub headers: CustomHeaders,
}

/// The topic's full name.
impl fmt::Display for PubsubDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/topics/{}", self.project_id, self.topic_id)
    }
}

impl Traits for PubsubDestination {
    fn of_type(&self) -> DestinationType {
        DestinationType::Pubsub
    }

    fn headers(&self) -> &CustomHeaders {
        &self.headers
    }

    fn identity(&self) -> Vec<&str> {
        vec![&self.project_id, &self.topic_id]
    }

    fn host(&self) -> &str {
        HOST
    }

    fn target(&self) -> Target<'_> {
        Target::Topic { system: "gcp_pubsub", name: &self.topic_id }
    }
}

/// A project id violates Google's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a Google project id must have 6 to 30 lower-case letters, digits and hyphens, start with a letter and not end \
     with a \
     hyphen"
)]
pub struct ProjectIdError;

/// A topic id violates Google's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a Pub/Sub topic id must have 3 to 255 letters, digits and - . _ ~ + %, start with a letter and not with \"goog\""
)]
pub struct TopicIdError;

impl PubsubDestination {
    /// [`PubsubDestination::check_project_id`] as a regular expression, except for the length of a domain.
    pub const PROJECT_ID_PATTERN: &str = "^([a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63})+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$";
    /// [`PubsubDestination::check_topic_id`] as a regular expression.
    pub const TOPIC_ID_PATTERN: &str = "^(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}$";

    /// Whether `id` is a valid project id, including the older form `example.com:my-project`.
    pub fn check_project_id(id: &str) -> Result<(), ProjectIdError> {
        let (domain, project) = id.split_once(':').map_or((None, id), |(domain, project)| (Some(domain), project));
        let valid_project = (6..=30).contains(&project.len())
            && project.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && project.starts_with(|first: char| first.is_ascii_lowercase())
            && !project.ends_with('-');
        let valid_domain = domain.is_none_or(|domain| {
            domain.len() <= 253
                && domain.contains('.')
                && domain.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                })
        });
        if valid_project && valid_domain { Ok(()) } else { Err(ProjectIdError) }
    }

    /// Whether `id` is a valid topic id (without `projects/…/topics/`).
    pub fn check_topic_id(id: &str) -> Result<(), TopicIdError> {
        let valid = (3..=255).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+%".contains(&byte))
            && id.starts_with(|first: char| first.is_ascii_alphabetic())
            && !id.starts_with("goog");
        if valid { Ok(()) } else { Err(TopicIdError) }
    }

    /// Whether a custom header may be a message attribute next to the event's own; Google reserves `goog…`.
    pub fn check_attribute(name: &str) -> Result<(), HeaderError> {
        if name.starts_with("goog") {
            return Err(HeaderError::Reserved);
        }
        CustomHeaders::check_attribute(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_ids() {
        let check = |id: &str, valid| assert_eq!(PubsubDestination::check_project_id(id).is_ok(), valid, "{id}");
        check("my-project-1", true);
        check("abcdef", true);
        check("example.com:my-project", true);
        check(&"a".repeat(30), true);
        check(&"a".repeat(31), false);
        check("abcde", false);
        check("1abcdef", false);
        check("my-project-", false);
        check("My-Project", false);
        check("my_project", false);
        check("example:my-project", false);
        check("", false);
    }

    #[test]
    fn topic_ids() {
        let check = |id: &str, valid| assert_eq!(PubsubDestination::check_topic_id(id).is_ok(), valid, "{id}");
        check("abc", true);
        check("A-b.c_d~e+f%20", true);
        check(&"a".repeat(255), true);
        check(&"a".repeat(256), false);
        check("ab", false);
        check("1abc", false);
        check("google-topic", false);
        check("projects/p/topics/t", false);
        check("prüfung", false);
    }
}
