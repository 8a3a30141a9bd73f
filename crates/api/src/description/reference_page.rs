//! The files of `docs/reference` generated from the description. `cargo xtask docs` regenerates them; review the
//! changes before committing.

use domain::event_type::EventTypes;
use expect_test::expect_file;

use crate::Settings;

#[test]
fn reference_page_of_the_api() {
    let settings = Settings::default();
    let published = crate::publish(&settings, &EventTypes::new());
    expect_file!["../../../../docs/reference/openapi.json"].assert_eq(&published.openapi);
    expect_file!["../../../../docs/reference/postman.json"].assert_eq(&published.postman);
    expect_file!["../../../../docs/reference/api.md"].assert_eq(&published.reference);
}
