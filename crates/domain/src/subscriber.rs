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
    /// Confirmation of the contact's address, if the operator requires it.
    #[serde(default)]
    pub confirmation: Confirmation,
    /// Its life.
    pub status: SubscriberStatus,
    /// Counts the changes; a change names the revision that it was made from.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
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

/// Confirmation of a technical contact's address by somebody who reads its mail.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Confirmation {
    /// The confirmed address.
    pub confirmed: Option<String>,
    /// The pending question.
    pub asked: Option<Asked>,
}

/// A confirmation question sent to a technical contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// The address it was sent to.
    pub email: String,
    /// SHA-256 of its code, in lower-case hex.
    pub sha256: String,
    /// When it expires.
    pub until: Timestamp,
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
    /// Whether every notification is sent by email, not only those rejected by the webhook.
    pub fn gets_emails(&self) -> bool {
        self.email || !self.webhook
    }

    /// RFC 5321, 4.5.3.1.3: the longest path that mail can be sent to, less its angle brackets.
    pub const MAX_EMAIL: usize = 254;
    /// RFC 5321, 4.5.3.1.1: the longest local part. Mail programs refuse to write to a longer one.
    pub const MAX_LOCAL_PART: usize = 64;
    /// [`Contact::is_email`] but for the length as a regular expression, for those who read the description of the API.
    pub const EMAIL_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$";

    /// Whether `text` is one email address that mail can be sent to: the pattern of HTML's `<input type=email>` with a dot
    /// in the domain, at most 254 characters (contract page 7, "API"). Of what that pattern lets through, dots at the
    /// ends of the local part or in a row (RFC 5322, 3.2.3) and a longer local part are refused: the mailer could not
    /// write to them.
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
