//! A subscriber: an app's account on the platform for one PIM, with its technical contact.

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, PimId, SubscriberId};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Owner of a subscriber: one client of one PIM.
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
    /// Id of the subscriber.
    pub id: SubscriberId,
    /// The client that created it.
    pub owner: Owner,
    /// 1 to 255 characters, not unique.
    pub name: String,
    /// Recipient of notifications.
    pub contact: Contact,
    /// Confirmation of the contact's address, if the operator requires it.
    #[serde(default)]
    pub confirmation: Confirmation,
    /// Lifecycle state.
    pub status: SubscriberStatus,
    /// Revision, incremented with each change; a change names the revision it is based on.
    pub revision: u64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Subscriber {
    /// Whether this address is confirmed.
    pub fn has_confirmed(&self, email: &str) -> bool {
        self.confirmation.confirmed.as_ref().is_some_and(|confirmed| confirmed.eq_ignore_ascii_case(email))
    }

    /// Whether a confirmation link for the current address is still valid.
    pub fn is_asked(&self, now: Timestamp) -> bool {
        let asked = self.confirmation.asked.as_ref();
        asked.is_some_and(|asked| asked.email == self.contact.technical_email && now < asked.until)
    }
}

/// Confirmation of a technical contact's address by a reader of its mail.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Confirmation {
    /// The confirmed address.
    pub confirmed: Option<String>,
    /// The pending request.
    pub asked: Option<Asked>,
}

/// A confirmation request sent to a technical contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// The address it was sent to.
    pub email: String,
    /// SHA-256 of its code, in lower-case hex.
    pub sha256: String,
    /// Expiry of its code.
    pub until: Timestamp,
}

/// A validated request to create a subscriber.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSubscriber {
    /// [`Subscriber::name`].
    pub name: String,
    /// [`Subscriber::contact`].
    pub contact: Contact,
}

/// Lifecycle states of a subscriber.
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
    /// Name in responses.
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
    /// One email address.
    pub technical_email: String,
    /// Whether notifications are sent by email.
    pub email: bool,
    /// Whether they are sent by webhook; the two fields below are set in this case.
    pub webhook: bool,
    /// `https` URL of the notification webhook.
    pub webhook_url: Option<String>,
    /// 16 to 256 characters.
    pub webhook_secret: Option<Secret>,
    /// Whether it is warned of a subscription that is failing, before that is suspended.
    #[serde(default)]
    pub notify_failing: bool,
}

impl Contact {
    /// Whether every notification is sent by email, not only those rejected by the webhook.
    pub fn gets_emails(&self) -> bool {
        self.email || !self.webhook
    }

    /// RFC 5321, 4.5.3.1.3: maximum length of a mail path, without its angle brackets.
    pub const MAX_EMAIL: usize = 254;
    /// RFC 5321, 4.5.3.1.1: maximum length of a local part. Mail programs reject longer ones.
    pub const MAX_LOCAL_PART: usize = 64;
    /// [`Contact::is_email`], except for the length, as a regular expression for the API description.
    pub const EMAIL_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\
        @[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$";

    /// Whether `text` is one email address that can receive mail: the pattern of HTML's `<input type=email>` with a dot
    /// in the domain, at most 254 characters (contract page 7, "API"). Unlike that pattern, rejects leading, trailing
    /// or repeated dots in the local part (RFC 5322, 3.2.3) and a longer local part, because the mailer could not write
    /// to them.
    pub fn is_email(text: &str) -> bool {
        let Some((local, domain)) = text.split_once('@') else { return false };
        let is_atom = |atom: &str| {
            !atom.is_empty()
                && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
        };
        let local_fits = local.len() <= Contact::MAX_LOCAL_PART && local.split('.').all(is_atom);
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
        check("o'brien@example.ie", true);
        check("a..b@example.com", false);
        check(".a@example.com", false);
        check("a.@example.com", false);
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
        check(&format!("{}@example.com", "a".repeat(64)), true);
        check(&format!("{}@example.com", "a".repeat(65)), false);
        let long = |last: usize| format!("a@{0}.{0}.{0}.{1}", "b".repeat(62), "c".repeat(last));
        check(&long(63), true);
        check(&format!("ab@{}", &long(63)[2..]), false);
    }
}
