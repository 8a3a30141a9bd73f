//! Confirmation of technical contacts' addresses: a code is sent to the address, and presenting it confirms the
//! address. Only a hash of the code is stored. It works once, and only while the contact has that address.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest, rand};
use domain::notification::Outgoing;
use domain::subscriber::{Asked, Confirmation, Subscriber, SubscriberStatus};
use domain::{Secret, SubscriberId, Timestamp};
use uuid::Uuid;

use crate::error::StoreError;

/// Validity of a question. Afterwards the contact is asked again with the next notification.
pub const VALID_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Length of the subscriber id in front of the code.
const ID_LEN: usize = 32;

/// The answer to a question: the subscriber and the code.
#[derive(Debug)]
pub struct Answer {
    /// The contact's subscriber.
    pub subscriber: SubscriberId,
    code: Secret,
}

/// Creates a question: the subscriber to be stored, and the email to be sent.
pub fn ask(subscriber: Subscriber, subject: &str, now: Timestamp) -> Result<(Subscriber, Outgoing), StoreError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| StoreError::Unavailable("the system gives no random numbers".to_owned()))?;
    let code = Secret::new(hex(&bytes));
    let asked =
        Asked { email: subscriber.contact.technical_email.clone(), sha256: sha256(&code), until: now + VALID_FOR };
    let question = Outgoing::question(&subscriber, code, subject, now);
    let confirmation = Confirmation { asked: Some(asked), ..subscriber.confirmation };
    Ok((Subscriber { confirmation, ..subscriber }, question))
}

/// The subscriber with its address confirmed; `None` if the answer is invalid.
pub fn confirm(subscriber: Subscriber, answer: &Answer, now: Timestamp) -> Option<Subscriber> {
    let asked = subscriber.confirmation.asked.as_ref()?;
    let is_it = constant_time::verify_slices_are_equal(sha256(&answer.code).as_bytes(), asked.sha256.as_bytes());
    if is_it.is_err() || !subscriber.is_asked(now) || subscriber.status != SubscriberStatus::Active {
        return None;
    }
    let confirmation = Confirmation { confirmed: Some(asked.email.clone()), asked: None };
    Some(Subscriber { confirmation, ..subscriber })
}

impl Answer {
    /// The answer as part of a link.
    pub fn link(subscriber: SubscriberId, code: &Secret) -> String {
        format!("{}{}", subscriber.0.simple(), code.expose())
    }

    /// Parses the answer in a link.
    pub fn parse(text: &str) -> Option<Answer> {
        let (id, code) = text.split_at_checked(ID_LEN)?;
        Some(Answer { subscriber: SubscriberId(Uuid::try_parse(id).ok()?), code: Secret::new(code) })
    }
}

fn sha256(code: &Secret) -> String {
    hex(digest::digest(&digest::SHA256, code.expose().as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use domain::notification::Channel;

    use super::*;
    use crate::conformance::sample::{at, subscriber};

    const SUBJECT: &str = "https://pim.example.com";

    fn answer(question: &Outgoing) -> Answer {
        let Channel::Question { code } = &question.channel else { panic!("{question:?}") };
        Answer::parse(&Answer::link(question.notification.subscriber_id, code)).unwrap()
    }

    #[test]
    fn a_code_answers_once_in_time_and_for_its_address() {
        let (asked, question) = ask(subscriber(), SUBJECT, at(0)).unwrap();
        assert!(!asked.has_confirmed("contact@example.com") && asked.is_asked(at(0)));
        let answer = answer(&question);
        let confirmed = confirm(asked.clone(), &answer, at(1)).unwrap();
        assert!(confirmed.has_confirmed("Contact@Example.com") && !confirmed.has_confirmed("other@example.com"));
        assert_eq!(confirm(confirmed, &answer, at(2)), None, "once");
        assert_eq!(confirm(asked.clone(), &answer, at(0) + VALID_FOR), None, "too late");
        let mut moved = asked.clone();
        moved.contact.technical_email = "other@example.com".to_owned();
        assert_eq!(confirm(moved, &answer, at(1)), None, "another address");
        let gone = Subscriber { status: SubscriberStatus::Deleted, ..asked.clone() };
        assert_eq!(confirm(gone, &answer, at(1)), None);
        let (again, _) = ask(asked.clone(), SUBJECT, at(1)).unwrap();
        assert_eq!(confirm(again, &answer, at(1)), None, "the latest question counts");
        let made_up = Answer { subscriber: asked.id, code: Secret::new("0".repeat(32)) };
        assert_eq!(confirm(asked, &made_up, at(1)), None);
    }

    #[test]
    fn nothing_else_is_an_answer() {
        for text in ["", "abc", "018e32e05c1e7f4b9a3b00000000000g", "é".repeat(20).as_str()] {
            assert!(Answer::parse(text).is_none(), "{text}");
        }
    }
}
