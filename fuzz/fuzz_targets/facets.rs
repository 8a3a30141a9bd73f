//! Any text as an event's data: reading its facets, entity and paths never panics; in JSON, it finds the same author as
//! a full parse.

#![no_main]

use domain::event_type::PRODUCT_UPDATED_DELTA;
use domain::filter::Facets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let facets = Facets::of(PRODUCT_UPDATED_DELTA, data);
    domain::entity::entity_of(PRODUCT_UPDATED_DELTA, data);
    let Ok(tree) = serde_json::from_str::<serde_json::Value>(data) else { return };
    // Duplicate keys are rejected before facets are read; the two parsers may differ on them.
    if data.matches("author").count() + data.matches("identifier").count() <= 2 && !data.contains("\\u") {
        assert_eq!(facets.user(), tree["author"]["identifier"].as_str());
    }
});
