//! Content of emails, as plain text and HTML: what happened, to which subscription and destination, why, when, and how
//! to resume.

mod next_steps;

use domain::Secret;
use domain::notification::{Channel, Held, NotificationKind, Outgoing};
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use store::confirmation::{Answer, VALID_FOR};

use next_steps::next_steps;

/// The email for a notification.
pub(crate) fn message(
    outgoing: &Outgoing,
    from: &Mailbox,
    public_url: &str,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let text = Text::of(outgoing, public_url);
    // Identical for all attempts: a mail server can detect duplicates.
    let id = format!("<{}@{}>", outgoing.id, from.email.domain());
    // Suppresses automatic replies.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
    Ok(Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, outgoing.email.parse()?))
        .subject(one_line(&text.title))
        .message_id(Some(id))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(text.plain(), text.html()))?)
}

/// Maximum length of a displayed name.
const NAME_AT_MOST: usize = 60;
/// Maximum length of a displayed destination or reason.
const TEXT_AT_MOST: usize = 300;
/// Maximum length of a destination in the subject.
const SUBJECT_AT_MOST: usize = 100;

/// A client-chosen name, made safe for an email in the platform's name: quoted, truncated, and without anything that
/// mail readers turn into a link.
fn quoted(name: &str) -> String {
    let harmless =
        |each: char| each.is_alphanumeric() || matches!(each, '-' | '_' | '\'' | '&' | '+' | ',' | '(' | ')');
    let kept: String = name.chars().map(|each| if harmless(each) { each } else { ' ' }).collect();
    format!("“{}”", cut(&one_line(&kept), NAME_AT_MOST))
}

fn cut(text: &str, at_most: usize) -> String {
    match text.char_indices().nth(at_most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A header value is a single line, whatever a name contains.
fn one_line(text: &str) -> String {
    let kept: String = text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Content of an email before formatting.
struct Text {
    title: String,
    happened: String,
    facts: Vec<(&'static str, String)>,
    next: Vec<String>,
    call: Option<String>,
}

impl Text {
    fn of(outgoing: &Outgoing, public_url: &str) -> Text {
        match &outgoing.channel {
            Channel::Summary { count, latest } => Text::summary(*count, latest, public_url),
            Channel::Email { instead_of_webhook } => Text::one(outgoing, instead_of_webhook.as_deref(), public_url),
            Channel::Webhook { .. } => Text::one(outgoing, None, public_url),
            Channel::Question { code } => Text::question(outgoing, code, public_url),
        }
    }

    /// The question to confirm an address. Its only link is the platform's own.
    fn question(outgoing: &Outgoing, code: &Secret, public_url: &str) -> Text {
        let reported = &outgoing.notification;
        let link = Answer::link(reported.subscriber_id, code);
        let facts = vec![
            ("Subscriber", quoted(&outgoing.subscriber_name)),
            ("PIM", quoted(&reported.subject)),
            ("When", reported.timestamp.to_string()),
        ];
        let days = VALID_FOR.as_secs() / 86_400;
        let next = vec![
            format!("If you want these notifications, confirm within {days} days: {public_url}/confirm/{link}"),
            "If you don't, ignore this email: you will get no notifications.".to_owned(),
        ];
        Text {
            title: "Confirm your address for notifications".to_owned(),
            happened: "A client of the event platform has named this address as its technical contact, to be notified \
                       when a subscription is suspended, resumed or revoked."
                .to_owned(),
            facts,
            next,
            call: None,
        }
    }

    /// Several notifications in one email.
    fn summary(count: u64, latest: &[Held], public_url: &str) -> Text {
        let happened = format!(
            "This address has reached its hourly limit of emails from the event platform. This summary contains the \
             {count} \
             notifications after that."
        );
        let mut next: Vec<String> = Vec::new();
        let left_out = count.saturating_sub(latest.len() as u64);
        if left_out > 0 {
            next.push(format!("The first {left_out} are not listed; the latest are:"));
        }
        next.extend(latest.iter().map(|held| {
            let what = match held.kind {
                NotificationKind::SuspendedBySystem => "suspended by the event platform",
                NotificationKind::SuspendedByUser => "suspended",
                NotificationKind::Revoked => "revoked",
                NotificationKind::Resumed => "resumed",
                NotificationKind::Failing => "found to be failing",
                NotificationKind::Question => "asked about",
            };
            let why = held.reason.as_deref().map(|reason| format!(": {}", cut(&one_line(reason), TEXT_AT_MOST)));
            let destination = cut(&held.destination, TEXT_AT_MOST);
            let (at, id) = (held.timestamp, held.subscription_id);
            format!("{at}: subscription {id} to {destination} was {what}{}.", why.unwrap_or_default())
        }));
        next.push(format!("The log contains all of them: GET {public_url}/api/v1/logs"));
        Text { title: format!("{count} notifications about subscriptions"), happened, facts: vec![], next, call: None }
    }

    fn one(outgoing: &Outgoing, instead_of_webhook: Option<&str>, public_url: &str) -> Text {
        let reported = &outgoing.notification;
        let (title, happened) = match reported.kind {
            NotificationKind::SuspendedBySystem => (
                "Subscription suspended by the event platform",
                "The event platform has suspended a subscription. No events are delivered until it is resumed.",
            ),
            NotificationKind::SuspendedByUser => (
                "Subscription suspended",
                "A subscription was suspended by its owner. No events are delivered until it is resumed.",
            ),
            NotificationKind::Revoked => {
                ("Subscription revoked", "A subscription was permanently revoked. No more events are delivered to it.")
            }
            NotificationKind::Question => {
                ("Confirm your address", "The event platform asks whether you want notifications.")
            }
            NotificationKind::Failing => (
                "Subscription failing",
                "Many deliveries of a subscription fail. It is still active, but the event platform suspends it when \
                 fewer than 90 % of the deliveries of the last hour have succeeded.",
            ),
            NotificationKind::Resumed => {
                ("Subscription resumed", "A subscription was resumed. Events accepted from now on are delivered to it.")
            }
        };
        let mut facts = vec![
            ("Subscriber", quoted(&outgoing.subscriber_name)),
            ("Subscription", reported.subscription_id.to_string()),
            ("Destination", cut(&reported.destination, TEXT_AT_MOST)),
            ("Events", reported.events.join(", ")),
            ("PIM", reported.subject.clone()),
            ("When", reported.timestamp.to_string()),
        ];
        facts.extend(reported.reason.as_deref().map(|reason| ("Why", cut(&one_line(reason), TEXT_AT_MOST))));
        let (next, call) = next_steps(reported, public_url);
        let mut next = next;
        if let Some(url) = instead_of_webhook {
            next.push(format!(
                "You receive this email because the notification webhook {} did not accept the notification.",
                cut(url, TEXT_AT_MOST)
            ));
        }
        Text {
            title: format!("{title}: {}", cut(&reported.destination, SUBJECT_AT_MOST)),
            happened: happened.to_owned(),
            facts,
            next,
            call,
        }
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use domain::notification::Notification;
    use domain::subscriber::Contact;
    use domain::{SubscriberId, SubscriptionId, Timestamp};
    use uuid::Uuid;

    use super::*;

    /// The API and the mailer accept the same addresses: every valid contact can receive email.
    fn both_accept(address: &str) {
        let parsed: Result<lettre::Address, _> = address.parse();
        assert!(!Contact::is_email(address) || parsed.is_ok(), "{address} is accepted, but {parsed:?}");
    }

    proptest::proptest! {
        #[test]
        fn an_address_that_a_contact_may_have_can_be_written_to(
            near in "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,70}@[a-zA-Z0-9.-]{1,70}",
            good in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}){0,3}\
                     @[a-z0-9]{1,9}(-[a-z0-9]{1,9})?(\\.[a-z0-9]{1,9}){1,3}",
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
            waited_ms: 0,
            sent_at: None,
            number: 1,
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
        let mut of = outgoing(NotificationKind::SuspendedByUser, "Shop & Co");
        of.notification.reason = Some("<b>no</b>".to_owned());
        let text = Text::of(&of, "https://e.example");
        assert!(text.plain().contains("Why: <b>no</b>\n"), "{}", text.plain());
        assert!(
            text.html().contains("&lt;b&gt;no&lt;/b&gt;") && text.html().contains("Shop &amp; Co"),
            "{}",
            text.html()
        );
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
    fn the_text_has_event_place_reason_time_and_next_step() {
        let id = "00000000-0000-0000-0000-000000000000";
        let resume = format!("https://events.example.com/api/v1/subscribers/{id}/subscriptions/{id}/resume");
        let facts = [id, "https://shop.example.com/hook", "fewer than 90 %", "1970-01-01T00:00:00.000000Z"];
        check(NotificationKind::SuspendedBySystem, &facts, &[]);
        check(NotificationKind::SuspendedBySystem, &["The event platform has suspended", &resume], &[]);
        check(NotificationKind::SuspendedByUser, &["by its owner", &resume], &[]);
        check(NotificationKind::Revoked, &["permanently revoked", "cannot be resumed"], &["/resume"]);
        check(NotificationKind::Resumed, &["was resumed"], &["/resume"]);
        let failing = &["It is still active", "before the subscription is suspended"];
        check(NotificationKind::Failing, failing, &["/resume"]);
    }

    #[track_caller]
    fn check_name(name: &str, expect: &str) {
        let text = Text::of(&outgoing(NotificationKind::Resumed, name), "https://events.example.com").plain();
        assert!(text.contains(&format!("Subscriber: {expect}\n")), "{name}: {text}");
    }

    #[test]
    fn a_name_is_quoted_and_cut_and_no_link() {
        check_name("Müller & Söhne, 2. Laden", "“Müller & Söhne, 2 Laden”");
        check_name("You won! https://evil.example/claim?x=1", "“You won https evil example claim x 1”");
        check_name("www.evil.example\r\nBcc: all@example.com", "“www evil example Bcc all example com”");
        check_name(&"x".repeat(255), &format!("“{}…”", "x".repeat(60)));
    }

    #[test]
    fn a_summary_tells_how_many_and_the_latest() {
        let one = |id: u128| {
            let mut one = outgoing(NotificationKind::SuspendedBySystem, "Shop");
            one.notification.subscription_id = SubscriptionId(Uuid::from_u128(id));
            one
        };
        let others: Vec<Outgoing> = (2..=30).map(one).collect();
        let summary = one(1).summary_with(&others[..10]).summary_with(&others[10..]);
        let text = Text::of(&summary, "https://events.example.com").plain();
        assert!(text.contains("the 30 notifications") && text.contains("The first 10 are not listed"), "{text}");
        let reported = |id: u128| text.contains(&SubscriptionId(Uuid::from_u128(id)).to_string());
        assert_eq!((1..=30).filter(|id| reported(*id)).collect::<Vec<_>>(), (11..=30).collect::<Vec<_>>());
        assert!(text.contains("suspended by the event platform: fewer than 90 % succeeded."), "{text}");
    }
}
