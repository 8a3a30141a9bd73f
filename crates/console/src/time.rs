//! Times: in UTC from the server; a module shows them in the viewer's time zone.

use domain::Timestamp;
use maud::{Markup, html};

/// A moment as sent by the API; a dash if it is missing.
pub(crate) fn moment(at: &str) -> Markup {
    match shown(at) {
        Some(text) => html! { time datetime=(at) { (text) " UTC" } },
        None => html! { span.none { "–" } },
    }
}

/// `2026-11-29 12:34:56`.
fn shown(at: &str) -> Option<String> {
    let text = Timestamp::parse(at)?.to_string();
    let (date, time) = text.split_once('T')?;
    Some(format!("{date} {}", time.get(..8)?))
}

/// `12:35` of a moment.
pub(crate) fn clock_face(at: &str) -> String {
    Timestamp::parse(at)
        .and_then(|at| at.to_string().split_once('T').and_then(|(_, time)| time.get(..5)).map(str::to_owned))
        .unwrap_or_default()
}

/// The hour and minute of a moment.
pub(crate) fn clock(at: &str) -> Markup {
    html! { time.clock datetime=(at) { (clock_face(at)) } }
}

/// A text of the API in which moments are shown like all others.
pub(crate) fn within(text: &str) -> Markup {
    let words = text.split_inclusive(' ').map(|word| {
        let bare = word.trim_end_matches([' ', '.', ',', ':', ';']);
        (shown(bare).map(|_| bare), word)
    });
    html! {
        @for (at, word) in words {
            @match at {
                Some(at) => { (moment(at)) (word.get(at.len()..).unwrap_or_default()) }
                None => { (word) }
            }
        }
    }
}

/// A span in words: `3 min`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The age of a moment in words; empty without one.
pub(crate) fn age(at: &str, now: Timestamp) -> String {
    Timestamp::parse(at).map(|at| span(now.since(at).as_secs())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_utc_and_machine_readable() {
        let shown = moment("2026-11-29T12:34:56.789012Z").into_string();
        assert!(shown.contains("datetime=\"2026-11-29T12:34:56.789012Z\""), "{shown}");
        assert!(shown.contains(">2026-11-29 12:34:56 UTC<"), "{shown}");
        assert!(moment("").into_string().contains('–'));
        assert!(moment("<script>").into_string().contains('–'));
    }

    #[test]
    fn moments_within_a_text_are_moments() {
        let shown = within("Suspended since 2026-11-29T12:34:56.789012Z: <b>why</b>, 5.").into_string();
        assert!(shown.contains(">2026-11-29 12:34:56 UTC</time>: &lt;b&gt;why&lt;/b&gt;, 5."), "{shown}");
        assert_eq!(within("No moment at all.").into_string(), "No moment at all.");
    }

    #[test]
    fn spans_are_short() {
        for (seconds, expect) in [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")] {
            assert_eq!(span(seconds), expect);
        }
        let now = Timestamp::parse("2026-11-29T12:00:00Z").unwrap();
        assert_eq!(age("2026-11-29T11:50:00Z", now), "10 min");
        assert_eq!(age("", now), "");
        assert_eq!(clock_face("2026-11-29T12:34:56.789012Z"), "12:34");
    }
}
