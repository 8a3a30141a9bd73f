//! `docs/reference/metrics.md`, made from the list of metrics. `cargo xtask docs` writes it anew.

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
         <!-- Made from the code by `cargo xtask docs`. -->\n\n\
         What `/metrics` shows. [Metrics and traces](../operators/observing.md) says how to scrape it, and has example alerts.\n\n\
         Counters begin at 0 with the process. A histogram `x` has the series `x_bucket`, `x_sum` and `x_count`. The number of series \
         is bounded: no label takes what a caller, a producer or a destination writes. Only the series of single subscriptions grow with \
         what is stored, and `metrics.per_subscription_at_most` bounds them.\n\n\
         | metric | type | labels | what it says |\n| --- | --- | --- | --- |\n",
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
