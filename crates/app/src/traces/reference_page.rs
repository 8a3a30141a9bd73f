//! `docs/reference/traces.md`, generated from the list of spans by `cargo xtask docs`.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::spans::ALL;

#[test]
fn reference_page_of_the_traces() {
    expect_file!["../../../../docs/reference/traces.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Traces\n\n\
         <!-- Generated from the code by `cargo xtask docs`. -->\n\n\
         The spans of an event, if [traces](../operators/observing.md#traces) are enabled. Inapplicable attributes are \
         omitted.\n",
    );
    for shape in ALL {
        let kind = format!("{:?}", shape.kind).to_lowercase();
        _ = write!(
            text,
            "\n## `{}`\n\n{} Kind: {kind}.\n\n| attribute | meaning |\n| --- | --- |\n",
            shape.name, shape.doc
        );
        for attribute in shape.attributes {
            _ = writeln!(text, "| `{}` | {} |", attribute.key(), attribute.doc());
        }
    }
    text
}
