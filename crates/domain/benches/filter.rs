//! Cost of filters: 400 subscriptions of one tenant, each with a different filter, evaluate delta events with three
//! changed values. Prints one line; `cargo bench -p domain --bench filter`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::event_type::PRODUCT_UPDATED_DELTA;
use domain::filter::{Facets, Filter};

const CANDIDATES: usize = 400;
const EVENTS: usize = 500;
/// The median of these is reported, so that other load on the machine has little influence.
const ROUNDS: usize = 25;

fn filters() -> Vec<Filter> {
    let text = |n: usize| match n % 8 {
        0 => format!(r#"attribute in ["attribute_{n}", "description", "price_{n}"]"#),
        1 => format!(r#"(attribute="name" and locale="fr_FR") and not user="user_{n}""#),
        2 => r#"not user_type in ["system", "job"]"#.to_owned(),
        3 => format!(r#"not (attribute in ["price", "weight", "attribute_{n}"])"#),
        4 => r#"channel="ecommerce" or locale in ["en_US", "fr_FR"]"#.to_owned(),
        5 => format!(r#"user="user_{n}" or user="julia" and attribute="attribute_{}""#, n % 97),
        6 => r#"scope="print" and locale="de_DE" and not (attribute="name" or attribute="picture")"#.to_owned(),
        _ => format!(r#"user_type in ["user", "api"] and attribute="attribute_{}""#, n % 61),
    };
    (0..CANDIDATES).filter_map(|n| Filter::parse(&text(n)).ok().flatten()).collect()
}

/// Three changed values, a text of some length among them, as sent by a PIM.
fn events() -> Vec<String> {
    let value = |n: usize, locale: &str, scope: &str| {
        let text = "A compact camera with a bright lens and a quick shutter. ".repeat(n % 5);
        format!(
            r#""attribute_{n}":[{{"previous":"{text}","new":"{text}(new)","type":"pim_catalog_textarea","locale":{locale},"scope":{scope}}}]"#
        )
    };
    let event = |n: usize| {
        format!(
            r#"{{"product":{{"uuid":"6a9f8486-2c36-4680-b87f-{n:012}","updated_at":{{"date":"2026-11-02 08:27:15.000000","timezone":"UTC"}},"changes":{{"values":{{{},{},{}}}}}}},"author":{{"identifier":"user_{}","type":"api"}}}}"#,
            value(n % 89, r#""fr_FR""#, r#""mobile""#),
            value(100 + n % 53, r#""de_DE""#, r#""print""#),
            value(200 + n % 31, if n.is_multiple_of(3) { "null" } else { r#""es_ES""# }, r#""mobile""#),
            n % 40,
        )
    };
    (0..EVENTS).map(event).collect()
}

/// Nanoseconds per event.
fn measure(mut pass: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            pass();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2].as_nanos() as f64 / EVENTS as f64
}

#[expect(clippy::print_stdout, reason = "a benchmark tells its result")]
fn main() {
    let (filters, events) = (filters(), events());
    let bytes = events.iter().map(String::len).sum::<usize>() / EVENTS;
    let mut matches = 0;
    let whole = measure(|| {
        matches = 0;
        for data in &events {
            let facets = Facets::of(PRODUCT_UPDATED_DELTA, black_box(data));
            matches += filters.iter().filter(|filter| filter.matches(&facets)).count();
        }
    });
    let facets = measure(|| {
        for data in &events {
            black_box(Facets::of(PRODUCT_UPDATED_DELTA, black_box(data)));
        }
    });
    let plain = measure(|| {
        for data in &events {
            black_box(black_box(data).bytes().fold(0u8, |sum, byte| sum.rotate_left(1) ^ byte));
        }
    });
    println!(
        "filter: {:.1} ns per (event, candidate), facets included; {} candidates, 3 changed values, {bytes} bytes, \
         {:.0} % match; \
         an event: {whole:.0} ns, of it facets {facets:.0} ns; a plain pass over its bytes {plain:.0} ns; ratio {:.2} \
         (facets {:.2})",
        whole / filters.len() as f64,
        filters.len(),
        matches as f64 * 100.0 / (filters.len() * EVENTS) as f64,
        plain / whole,
        plain / facets,
    );
}
