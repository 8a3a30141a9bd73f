//! What an email says, as plain text and as HTML: what happened, to which subscription and destination, why, when, and
//! how to resume.

use domain::notification::{Channel, Notification, NotificationKind, Outgoing};
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

/// The email for a notification.
pub(crate) fn message(
    outgoing: &Outgoing,
    from: &Mailbox,
    public_url: &str,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let text = Text::of(outgoing, public_url);
    // The same for each attempt: a mail server can tell an email that was sent twice.
    let id = format!("<{}@{}>", outgoing.id, from.email.domain());
    // Nobody's out-of-office note should come back.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
    Ok(Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, outgoing.email.parse()?))
        .subject(one_line(&text.title))
        .message_id(Some(id))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(text.plain(), text.html()))?)
}

/// What stands in a header is one line, whatever a name contains.
fn one_line(text: &str) -> String {
    let kept: String = text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an email says, before it has a form.
struct Text {
    title: String,
    happened: String,
    facts: Vec<(&'static str, String)>,
    next: Vec<String>,
    call: Option<String>,
}

impl Text {
    fn of(outgoing: &Outgoing, public_url: &str) -> Text {
        let told = &outgoing.notification;
        let (title, happened) = match told.kind {
            NotificationKind::SuspendedBySystem => (
                "Subscription suspended by the event platform",
                "The event platform has suspended a subscription. Events are not delivered to it until it is resumed.",
            ),
            NotificationKind::SuspendedByUser => (
                "Subscription suspended",
                "A subscription was suspended by its owner. Events are not delivered to it until it is resumed.",
            ),
            NotificationKind::Revoked => (
                "Subscription revoked",
                "A subscription was revoked: it has ended for good, and no event is delivered to it any more.",
            ),
            NotificationKind::Resumed => (
                "Subscription resumed",
                "A subscription was resumed: events that are accepted from now on are delivered to it.",
            ),
        };
        let mut facts = vec![
            ("Subscriber", one_line(&outgoing.subscriber_name)),
            ("Subscription", told.subscription_id.to_string()),
            ("Destination", told.destination.clone()),
            ("Events", told.events.join(", ")),
            ("PIM", told.subject.clone()),
            ("When", told.timestamp.to_string()),
        ];
        facts.extend(told.reason.clone().map(|reason| ("Why", reason)));
        let (next, call) = next_steps(told, public_url);
        let mut next = next;
        if let Channel::Email { instead_of_webhook: Some(url) } = &outgoing.channel {
            next.push(format!(
                "You get this email because the notification webhook {url} did not take the notification."
            ));
        }
        Text { title: format!("{title}: {}", told.destination), happened: happened.to_owned(), facts, next, call }
    }

    fn plain(&self) -> String {
        let mut text = format!("{}\n\n", self.happened);
        for (name, value) in &self.facts {
            text.push_str(&format!("{name}: {value}\n"));
        }
        for step in &self.next {
            text.push_str(&format!("\n{step}\n"));
        }
        if let Some(call) = &self.call {
            text.push_str(&format!("\n    {}\n", call.replace('\n', "\n    ")));
        }
        text
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\
             <body style=\"font:15px/1.5 sans-serif\"><p>{}</p><table cellpadding=\"4\">",
            escaped(&self.title),
            escaped(&self.happened)
        );
        for (name, value) in &self.facts {
            html.push_str(&format!(
                "<tr><th align=\"left\" valign=\"top\">{name}</th><td>{}</td></tr>",
                escaped(value)
            ));
        }
        html.push_str("</table>");
        for step in &self.next {
            html.push_str(&format!("<p>{}</p>", escaped(step)));
        }
        if let Some(call) = &self.call {
            html.push_str(&format!("<pre>{}</pre>", escaped(call)));
        }
        html.push_str("</body></html>");
        html
    }
}

/// What the reader can do now, and the call that does it.
fn next_steps(told: &Notification, public_url: &str) -> (Vec<String>, Option<String>) {
    let log = format!(
        "What happened before is in the log: GET {public_url}/api/v1/logs?subscription_id={}",
        told.subscription_id
    );
    match told.kind {
        NotificationKind::SuspendedBySystem | NotificationKind::SuspendedByUser => {
            let first = "How to resume: correct the cause, then make this call with a token of the PIM. Events that \
                         were accepted while it was suspended are lost unless it holds them.";
            let call = format!(
                "curl -X POST {public_url}/api/v1/subscribers/{}/subscriptions/{}/resume \\\n  \
                 -H 'X-PIM-URL: {}' -H 'X-PIM-TOKEN: <token>' -H 'X-PIM-CLIENT-ID: <client id>'",
                told.subscriber_id, told.subscription_id, told.subject
            );
            (vec![log, first.to_owned()], Some(call))
        }
        NotificationKind::Revoked => {
            let first = "It cannot be resumed. Where the connection or app is back in the PIM, a new subscriber and \
                         new subscriptions take its place.";
            (vec![log, first.to_owned()], None)
        }
        NotificationKind::Resumed => (vec![log], None),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use domain::subscriber::Contact;
    use domain::{SubscriberId, SubscriptionId, Timestamp};
    use uuid::Uuid;

    use super::*;

    /// The API's judge and the mailer's are one: what a contact may have, an email can be sent to.
    fn both_accept(address: &str) {
        let parsed: Result<lettre::Address, _> = address.parse();
        assert!(!Contact::is_email(address) || parsed.is_ok(), "{address} is accepted, but {parsed:?}");
    }

    proptest::proptest! {
        #[test]
        fn an_address_that_a_contact_may_have_can_be_written_to(
            near in "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,70}@[a-zA-Z0-9.-]{1,70}",
            good in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}){0,3}@[a-z0-9]{1,9}(-[a-z0-9]{1,9})?(\\.[a-z0-9]{1,9}){1,3}",
            any in ".{0,20}@.{0,20}",
        ) {
            both_accept(&near);
            both_accept(&good);
            both_accept(&any);
        }
    }

    #[test]
    fn the_longest_addresses_can_be_written_to() {
        let domain = format!("{0}.{0}.{1}", "b".repeat(62), "c".repeat(63));
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert!(Contact::is_email(&longest) && longest.len() == 254);
        both_accept(&longest);
    }

    fn outgoing(kind: NotificationKind, name: &str) -> Outgoing {
        Outgoing {
            id: Uuid::nil(),
            notification: Notification {
                id: Uuid::nil(),
                kind,
                timestamp: Timestamp::EPOCH,
                subscription_id: SubscriptionId(Uuid::nil()),
                subscriber_id: SubscriberId(Uuid::nil()),
                destination: "https://shop.example.com/hook?a=1&b=<2>".to_owned(),
                events: vec!["com.akeneo.pim.v1.product.updated".to_owned()],
                reason: Some("fewer than 90 % succeeded".to_owned()),
                subject: "https://pim.example.com".to_owned(),
            },
            subscriber_name: name.to_owned(),
            email: "ops@example.com".to_owned(),
            channel: Channel::Email { instead_of_webhook: None },
            attempts: 0,
            due_at: Timestamp::EPOCH,
            revision: 0,
        }
    }

    fn sent(outgoing: &Outgoing) -> String {
        let from = "Postrider <postrider@example.com>".parse().unwrap();
        let message = message(outgoing, &from, "https://events.example.com").unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn names_add_no_header() {
        let mut evil = outgoing(NotificationKind::Resumed, "Shop\r\nBcc: all@example.com\r\n\r\nBuy now");
        evil.notification.destination = "https://a.example\r\nBcc: all@example.com".to_owned();
        let text = sent(&evil);
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert_eq!(head.lines().filter(|line| line.starts_with("To:")).count(), 1);
    }

    #[test]
    fn html_is_escaped_and_plain_is_not() {
        let text = Text::of(&outgoing(NotificationKind::SuspendedByUser, "<b>Shop</b> & Co"), "https://e.example");
        assert!(text.plain().contains("Subscriber: <b>Shop</b> & Co\n"), "{}", text.plain());
        assert!(text.html().contains("&lt;b&gt;Shop&lt;/b&gt; &amp; Co"), "{}", text.html());
        assert!(!text.html().contains("<2>"));
    }

    #[track_caller]
    fn check(kind: NotificationKind, parts: &[&str], not: &[&str]) {
        let text = Text::of(&outgoing(kind, "Shop"), "https://events.example.com").plain();
        for part in parts {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        for part in not {
            assert!(!text.contains(part), "{part} is in:\n{text}");
        }
    }

    #[test]
    fn it_says_what_where_why_when_and_how_to_go_on() {
        let id = "00000000-0000-0000-0000-000000000000";
        let resume = format!("https://events.example.com/api/v1/subscribers/{id}/subscriptions/{id}/resume");
        let facts = [id, "https://shop.example.com/hook", "fewer than 90 %", "1970-01-01T00:00:00.000000Z"];
        check(NotificationKind::SuspendedBySystem, &facts, &[]);
        check(NotificationKind::SuspendedBySystem, &["The event platform has suspended", &resume], &[]);
        check(NotificationKind::SuspendedByUser, &["by its owner", &resume], &[]);
        check(NotificationKind::Revoked, &["for good", "cannot be resumed"], &["/resume"]);
        check(NotificationKind::Resumed, &["was resumed"], &["/resume"]);
    }
}
