//! A subscriber: an app's account on the platform for one PIM, with its technical contact.

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, PimId, SubscriberId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Who may see and touch a subscriber: one client of one PIM.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The PIM.
    pub pim: PimId,
    /// The connection or app.
    pub client_id: ClientId,
}

/// A subscriber.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscriber {
    /// Its id.
    pub id: SubscriberId,
    /// The client that made it.
    pub owner: Owner,
    /// 1 to 255 characters, not unique.
    pub name: String,
    /// Where notifications go.
    pub contact: Contact,
    /// Its life.
    pub status: SubscriberStatus,
    /// Counts the changes; a change names the revision that it was made from.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a client asks for when it makes a subscriber, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSubscriber {
    /// [`Subscriber::name`].
    pub name: String,
    /// [`Subscriber::contact`].
    pub contact: Contact,
}

/// The life of a subscriber.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriberStatus {
    /// In use.
    Active,
    /// Its connection or app was removed from the PIM. Terminal.
    Revoked,
    /// Deleted by its owner. Terminal.
    Deleted,
}

impl SubscriberStatus {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriberStatus::Active => "active",
            SubscriberStatus::Revoked => "revoked",
            SubscriberStatus::Deleted => "deleted",
        }
    }
}

/// The technical contact of a subscriber.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// One address.
    pub technical_email: String,
    /// Whether notifications go out by email.
    pub email: bool,
    /// Whether they go out by webhook; then the two fields below are there.
    pub webhook: bool,
    /// `https` URL of the notification webhook.
    pub webhook_url: Option<String>,
    /// 16 to 256 characters.
    pub webhook_secret: Option<Secret>,
}

impl Contact {
    /// RFC 5321, 4.5.3.1.3: the longest path that mail can be sent to, less its angle brackets.
    pub const MAX_EMAIL: usize = 254;
    /// [`Contact::is_email`] but for the length as a regular expression, for those who read the description of the API.
    pub const EMAIL_PATTERN: &str = "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$";

    /// Whether `text` is one email address: the pattern of HTML's `<input type=email>`, with a dot in the domain, at
    /// most 254 characters (contract page 7, "API").
    pub fn is_email(text: &str) -> bool {
        let Some((local, domain)) = text.split_once('@') else { return false };
        let local_fits = !local.is_empty()
            && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte));
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        text.len() <= Contact::MAX_EMAIL && local_fits && domain.contains('.') && domain.split('.').all(label_fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses() {
        let check = |text: &str, valid| assert_eq!(Contact::is_email(text), valid, "{text}");
        check("team@example.com", true);
        check("first.last+tag@mail.example.co", true);
        check("a..b@example.com", true);
        check("team@localhost", false);
        check("team", false);
        check("@example.com", false);
        check("team@", false);
        check("team@example.com,other@example.com", false);
        check("Team <team@example.com>", false);
        check("te am@example.com", false);
        check("team@-example.com", false);
        check("team@example..com", false);
        check("team@example.com.", false);
        check("téam@example.com", false);
        check("team@example.com\r\nBcc: x@example.com", false);
        check(&format!("{}@example.com", "a".repeat(242)), true);
        check(&format!("{}@example.com", "a".repeat(243)), false);
    }
}
