//! Any text as an event's data: reading facets, entity and paths of it never panics, and of JSON finds the author that
//! a whole parse finds.

#![no_main]

use domain::event_type::PRODUCT_UPDATED_DELTA;
use domain::filter::Facets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let facets = Facets::of(PRODUCT_UPDATED_DELTA, data);
    domain::entity::entity_of(PRODUCT_UPDATED_DELTA, data);
    let Ok(tree) = serde_json::from_str::<serde_json::Value>(data) else { return };
    // A key that is there twice is refused before facets are read; the two readers may differ on it.
    if data.matches("author").count() + data.matches("identifier").count() <= 2 && !data.contains("\\u") {
        assert_eq!(facets.user(), tree["author"]["identifier"].as_str());
    }
});
