//! Words for what the API names: the same as in the documentation.

use maud::{Markup, html};

/// Notices after actions, by the name in the query.
const NOTICES: &[(&str, &str)] = &[
    ("suspended", "The subscription is suspended."),
    ("resumed", "The subscription is active again. Delivery starts with events accepted from now on."),
    ("resumed-held", "The subscription is active again. The held events are delivered now."),
    ("deleted", "Deleted."),
    ("created", "Created."),
    ("saved", "Saved. The change applies to events accepted from now on."),
    ("removed", "Removed."),
    ("revoked", "Revoked. It no longer works."),
    ("permitted", "The client may use the platform."),
    ("forbidden", "The permission is withdrawn. The client's active subscriptions are suspended."),
    ("admitted", "The client is admitted again. Its revoked subscriptions stay revoked."),
    ("replaying", "The replay has started."),
    ("cancelled", "The replay is cancelled."),
    ("signed-out", "You are signed out."),
];

/// The reason of a suspension without the words that stand beside it: the badge has said that it is suspended.
pub(crate) fn suspension(reason: &str) -> String {
    let reason = reason.strip_prefix("suspended ").unwrap_or(reason);
    match reason.split_once("operator of the platform; ") {
        Some((before, words)) => format!("{before}operator: “{words}”"),
        None => reason.replace("operator of the platform", "operator"),
    }
}

/// The notice with this name.
pub(crate) fn notice(name: &str) -> Option<&'static str> {
    NOTICES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// An error reason with a link to its page.
pub(crate) fn reason(name: &str) -> Markup {
    html! {
        @if !name.is_empty() { a.reason href={ "/docs/errors/" (crate::query::encoded(name)) } { (name) } }
    }
}

/// A status as a coloured label.
pub(crate) fn badge(name: &str) -> Markup {
    let class = match name {
        "active" | "delivered" | "done" | "running" | "ready" => "badge good",
        "suspended" | "waiting" | "in_flight" | "waiting_for_retry" | "throttled" | "cancelled" => "badge fair",
        "revoked" | "given_up" | "dropped" | "failed" | "deleted" => "badge bad",
        _ => "badge",
    };
    html! { span class=(class) { (name.replace('_', " ")) } }
}

/// A fate in words, for a page about one event of one subscription.
pub(crate) fn fate(name: &str) -> &'static str {
    match name {
        "not_subscribed" => "Not subscribed: the subscription did not include its type when the event was accepted.",
        "filtered_out" => "Filtered out: the subscription's filter excluded it.",
        "not_active" => "Not active: the subscription did not exist yet, or was suspended without holding events.",
        "waiting" => "Waiting: it was accepted and its turn has not come yet.",
        "in_flight" => "In flight: an attempt is under way.",
        "waiting_for_retry" => "Waiting for retry: the last attempt failed.",
        "delivered" => "Delivered: the destination has accepted it.",
        "given_up" => "Given up: the last attempt failed, too. Only a replay sends it again.",
        "dropped" => "Dropped: it was in the backlog when the subscription was suspended or revoked.",
        _ => "Unknown.",
    }
}

/// `https://pim.example.com/x` without its scheme.
pub(crate) fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// The part of an event type that distinguishes it from others of the same platform.
pub(crate) fn short_type(name: &str) -> &str {
    name.strip_prefix("com.akeneo.pim.v1.").unwrap_or(name)
}

/// A share as a percentage; 100 % only if nothing is missing.
pub(crate) fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).floor() / 10.0;
    if tenths.fract() == 0.0 { format!("{tenths:.0} %") } else { format!("{tenths:.1} %") }
}

/// Events per second: whole numbers from 100 on.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        100.0.. => number(per_second as u64),
        ..0.1 => format!("{per_second:.2}"),
        _ => format!("{per_second:.1}"),
    }
}

/// A count with separators: `12,345`.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A text of the API's description, in which backticks mark code.
pub(crate) fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// An operation of the log in words. A suspension by the platform may be the operator's: its message says which.
pub(crate) fn operation(name: &str) -> String {
    match name {
        "subscription_suspended_by_the_user" => return "Subscription suspended by its owner".to_owned(),
        "subscription_resumed_by_the_user" => return "Subscription resumed by its owner".to_owned(),
        "subscription_suspended_by_the_platform" => return "Subscription suspended".to_owned(),
        _ => {}
    }
    let mut text = name.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up() {
        for (share, expect) in [(1.0, "100 %"), (0.9999, "99.9 %"), (0.9, "90 %"), (0.0, "0 %"), (0.125, "12.5 %")] {
            assert_eq!(percent(share), expect);
        }
    }

    #[test]
    fn names_are_shortened_and_escaped() {
        assert_eq!(short_type("com.akeneo.pim.v1.product.updated"), "product.updated");
        assert_eq!(short_type("org.shop.paid"), "org.shop.paid");
        assert_eq!(host("https://pim.example.com/a"), "pim.example.com/a");
        assert_eq!(operation("subscription_suspended_by_the_user"), "Subscription suspended by its owner");
        assert_eq!(size(2048), "2.0 KiB");
        let link = reason("\"><script>").into_string();
        assert!(!link.contains("<script>") && link.contains("/docs/errors/%22%3E%3Cscript%3E"), "{link}");
    }

    #[test]
    fn counts_have_separators_and_code_is_marked() {
        for (count, expect) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), expect);
        }
        for (per_second, expect) in [(0.0, "0"), (0.02, "0.02"), (0.5, "0.5"), (99.9, "99.9"), (1234.5, "1,234")] {
            assert_eq!(rate(per_second), expect);
        }
        assert_eq!(prose("Send `a<b`.").into_string(), "Send <code>a&lt;b</code>.");
    }

    /// The guide's table lists the fates.
    #[test]
    fn every_documented_fate_has_its_words() {
        let guide = include_str!("../../../docs/integrators/kept-events.md");
        let (_, table) = guide.split_once("| `fate` |").unwrap();
        let names = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.split('|').next());
        let fates: Vec<&str> = names.flat_map(|names| names.split('`').skip(1).step_by(2)).collect();
        assert_eq!(fates.len(), 9, "{fates:?}");
        for name in fates {
            let words = fate(name);
            assert!(words.to_lowercase().starts_with(&name.replace('_', " ")), "{name}: {words}");
        }
    }

    #[test]
    fn a_suspension_is_named_once() {
        let check = |reason: &str, expect: &str| assert_eq!(suspension(reason), expect);
        check("suspended by its owner", "by its owner");
        check("suspended by the operator of the platform", "by the operator");
        check("suspended by the operator of the platform; floods; a lot", "by the operator: “floods; a lot”");
        check("fewer than 90 % succeeded", "fewer than 90 % succeeded");
    }

    #[test]
    fn only_known_notices_are_shown() {
        assert!(notice("suspended").is_some());
        assert_eq!(notice("<b>hacked</b>"), None);
    }
}
