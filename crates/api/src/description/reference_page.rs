//! The files of `docs/reference` that are made from the description. `cargo xtask docs` writes them anew; look at what changes before
//! you commit it.

use domain::event_type::Catalogue;
use expect_test::expect_file;

use crate::Settings;

#[test]
fn reference_page_of_the_api() {
    let settings = Settings::default();
    let published = crate::publish(&settings, &Catalogue::new());
    expect_file!["../../../../docs/reference/openapi.json"].assert_eq(&published.openapi);
    expect_file!["../../../../docs/reference/postman.json"].assert_eq(&published.postman);
    expect_file!["../../../../docs/reference/api.md"].assert_eq(&published.reference);
}
