//! Meaning of filters: on events of our own, and on every row of the contract's vectors.

use std::path::PathBuf;

use domain::filter::{Facets, Filter};
use domain::scan;
use serde_json::Value;

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}\n{}", error.hint)).expect("not blank")
}

#[track_caller]
fn check(event_type: &str, data: &str, holds: &[&str], does_not_hold: &[&str]) {
    let event_type = format!("com.akeneo.pim.v1.{event_type}");
    let facets = Facets::of(&event_type, data);
    for (texts, expect) in [(holds, true), (does_not_hold, false)] {
        for text in texts {
            assert_eq!(filter(text).matches(&facets), expect, "{text}\n{facets:?}");
            assert_eq!(filter(&format!("not ({text})")).matches(&facets), !expect, "not ({text})");
        }
    }
}

/// Name changed in French for the shop, weight for all; a table lost a row.
const DELTA: &str = r#"{"product":{"uuid":"1","updated_at":{"date":"x","timezone":"UTC"},"changes":{
    "categories":{"added":["a"],"removed":[]},
    "values":{
        "name":[{"previous":"}\"","new":{"locale":"xx_XX","scope":["xx"]},"type":"t","locale":"fr_FR","scope":"shop"}],
        "caf\u00e9":[{"previous":1,"new":2,"locale":"de_DE","channel":"print"}]},
    "table_attributes":{"added":[],"removed":[{"attribute":"nutrition","row":"salt","locale":"it_IT"}]}}},
    "author":{"identifier":"julia","type":"user"}}"#;

#[test]
fn conditions_ask_about_the_whole_event() {
    check(
        "product.updated.delta",
        DELTA,
        &[
            r#"user="julia""#,
            r#"user_type in ["api", "user"]"#,
            r#"attribute="name""#,
            r#"attribute="café""#,
            r#"attribute="nutrition""#,
            r#"attribute in ["x", "name"]"#,
            r#"scope="shop""#,
            r#"channel="print""#,
            r#"scope="print""#,
            r#"locale in ["x", "de_DE"]"#,
            // The name changed, and some value is German, but not the same one.
            r#"attribute="name" and locale="de_DE""#,
            r#"user="x" or user="julia" and not locale="en_US""#,
            r#"not (user="x" or attribute="x")"#,
        ],
        &[
            r#"user="Julia""#,
            r#"user="""#,
            r#"user_type="api""#,
            r#"attribute="weight""#,
            r#"scope="mobile""#,
            r#"locale="it_IT""#,
            r#"locale="xx_XX""#,
            r#"scope="xx""#,
            r#"locale="fr""#,
            r#"(user="x" or user="julia") and not locale="de_DE""#,
            r#"not (attribute in ["name"])"#,
        ],
    );
}

#[test]
fn values_without_scope_or_locale_match_all() {
    let with = |entry: &str| {
        format!(r#"{{"product_model":{{"code":"m","changes":{{"values":{{"name":[{entry}]}}}}}},"author":{{}}}}"#)
    };
    for none in [r#"{"locale":null,"scope":null}"#, "{}", r#"{"new":1,"channel":null}"#] {
        let any = [r#"scope="x""#, r#"channel in ["x"]"#, r#"locale="x""#];
        check("product-model.updated.delta", &with(none), &any, &[]);
    }
    let french = with(r#"{"locale":"fr_FR","scope":null}"#);
    check("product-model.updated.delta", &french, &[r#"scope="x""#, r#"locale="fr_FR""#], &[r#"locale="x""#]);
    // Only categories changed: no value could have any scope or locale.
    let categories = r#"{"product_model":{"changes":{"categories":{"added":["a"],"removed":[]}}}}"#;
    check("product-model.updated.delta", categories, &[], &[r#"scope="x""#, r#"locale="x""#, r#"attribute="a""#]);
}

#[test]
fn other_events_have_no_changes() {
    let fields = [r#"attribute="name""#, r#"scope="shop""#, r#"channel="shop""#, r#"locale="fr_FR""#];
    check("product.updated", DELTA, &[r#"user="julia""#], &fields);
    check("product-model.updated.delta", DELTA, &[r#"user="julia""#], &fields);
    check("product.became-complete", r#"{"product":{"uuid":"1"}}"#, &[], &[r#"user="""#, r#"user_type="user""#]);
}

#[test]
fn knows_whether_it_needs_a_delta_type() {
    let check = |text: &str, expect: bool| assert_eq!(filter(text).uses_delta_fields(), expect, "{text}");
    check(r#"user="a" and not user_type="api""#, false);
    check(r#"user="a" and not (user_type="api" or locale="x")"#, true);
    check(r#"attribute in ["a"]"#, true);
}

#[test]
fn explains_itself() {
    let check = |text: &str, expect: &str| assert_eq!(filter(text).explain(), expect, "{text}");
    check(r#"user="julia""#, "An event passes when the author is \"julia\".");
    check(
        r#"not user_type in ["api", "job"]"#,
        "An event passes when the author's type is not \"api\" or \"job\", or is unknown.",
    );
    check(
        r#"(attribute="name" and locale="fr_FR") or not (user="a" or not user="b")"#,
        "An event passes when at least one of these holds:
- all of these hold:
  - the attribute \"name\" was changed
  - a value was changed for the locale \"fr_FR\" or for all locales
- none of these holds:
  - the author is \"a\"
  - the author is not \"b\", or is unknown
Only product.updated.delta and product-model.updated.delta contain changes; in events of other types nothing counts as \
         changed.",
    );
}

/// A file beside the project; `None` if missing, which only CI must not accept.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    let text = std::fs::read_to_string(&file).ok();
    assert!(text.is_some() || std::env::var("CI").as_deref() != Ok("true"), "missing in CI: ../shared/{path}");
    if text.is_none() {
        println!("left out: ../shared/{path} is missing");
    }
    text
}

#[test]
fn every_row_of_the_contracts_vectors_holds() {
    let (Some(vectors), Some(events)) = (shared("contract/filter-vectors.jsonl"), shared("realdata/events.jsonl"))
    else {
        return;
    };
    let part = |event, name| scan::find(event, &[name]).expect("there").trim_matches('"');
    let judged: Vec<_> =
        events.lines().map(|event| (part(event, "id"), Facets::of(part(event, "type"), part(event, "data")))).collect();
    let mut rows = 0;
    for line in vectors.lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let text = row["filter"].as_str().expect("a filter");
        rows += 1;
        if row["refused"] == true {
            assert!(Filter::parse(text).is_err(), "{text}");
            continue;
        }
        let filter = filter(text);
        let ids: Vec<&str> = judged.iter().filter(|(_, facets)| filter.matches(facets)).map(|(id, _)| *id).collect();
        assert_eq!(row["matches"], ids.len(), "{text}");
        assert_eq!(row["sha256_of_ids"], sha256(&ids.join("\n")), "{text}");
    }
    assert_eq!(rows, 40);
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_catalogue_is_the_contracts() {
    let Some(contract) = shared("contract/events.json") else { return };
    let ours = include_str!("../src/event_type/known.json");
    let parse = |text| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(parse(ours), parse(&contract));
}
