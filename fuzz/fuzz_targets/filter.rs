//! Any text as a filter: it is rejected with a valid position, or means the same after being printed and parsed again.

#![no_main]

use domain::filter::{Facets, Filter};
use libfuzzer_sys::fuzz_target;

const DATA: &str = r#"{"product":{"changes":{"values":{"name":[{"locale":"fr_FR","scope":null}]}}},"author":{"identifier":"julia","type":"user"}}"#;

fuzz_target!(|text: &str| {
    let filter = match Filter::parse(text) {
        Ok(Some(filter)) => filter,
        Ok(None) => return assert!(text.trim().is_empty()),
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}");
            assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
            return assert_eq!(error.hint.lines().count(), 3, "{}", error.hint);
        }
    };
    assert_eq!(filter.as_str(), text);
    assert!(!filter.explain().is_empty());
    let facets = Facets::of(domain::event_type::PRODUCT_UPDATED_DELTA, DATA);
    // The normal form may exceed the length limit of a filter; otherwise it parses to the same filter.
    if let Ok(Some(again)) = Filter::parse(&filter.expr().to_string()) {
        assert_eq!(again.expr(), filter.expr());
        assert_eq!(again.matches(&facets), filter.matches(&facets));
    }
});
