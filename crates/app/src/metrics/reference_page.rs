//! `docs/reference/metrics.md`, generated from the list of metrics by `cargo xtask docs`.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::families::{FAMILIES, Kind};

#[test]
fn reference_page_of_the_metrics() {
    expect_file!["../../../../docs/reference/metrics.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         <!-- Generated from the code by `cargo xtask docs`. -->\n\n\
         Metrics at `/metrics`. [Metrics and traces](../operators/observing.md) explains scraping and has example \
         alerts.\n\n\
         Counters start at 0 with the process. A histogram `x` has the series `x_bucket`, `x_sum` and `x_count`. The \
         number of \
         series is bounded: labels never contain values from callers, producers or destinations. Only the series of \
         individual \
         subscriptions grow with the stored data; `metrics.per_subscription_at_most` limits them.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        _ = writeln!(text, "| `{}` | {kind} | {} | {} |", family.full_name(), labels.join(", "), family.help);
    }
    text
}
