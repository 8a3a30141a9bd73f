//! `docs/reference/errors.md`, made from the tables that the pages of errors are made from. `cargo xtask docs` writes it anew.

use std::fmt::Write as _;

use domain::outcome::ErrorReason;
use expect_test::expect_file;
use wire::fault::code;

use super::reasons;
use crate::refusal::because;

#[test]
fn reference_page_of_errors() {
    expect_file!["../../../../docs/reference/errors.md"].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         <!-- Made from the code by `cargo xtask docs`. -->\n\n\
         Two kinds: requests to the API that are refused, and deliveries that fail. The platform serves a page for each code and \
         reason at `/docs/errors/{reason}`; `documentation_url` of a log entry leads there.\n\n\
         ## Answers of the API\n\n\
         A refused request is answered with **all** of its faults at once:\n\n\
         ```json\n\
         {\"errors\": [{\"message\": \"for a person\", \"code\": \"stable, for a program\", \"field\": \"config.url\"}]}\n\
         ```\n\n\
         `field` is there where one field is at fault, `[7].time` in a batch of events. Refused filters have `column`, `found`, `expected` and \
         `hint`, too. 429 and 503 come with `Retry-After`.\n\n\
         | status | code | what it means |\n| --- | --- | --- |\n",
    );
    let mut codes: Vec<_> = because::ALL.iter().collect();
    codes.sort_by_key(|code| code.status);
    for code in codes {
        _ = writeln!(text, "| {} | `{}` | {} |", code.status.as_u16(), code.name, code.meaning);
    }
    text.push_str(
        "\n## Faults in bodies, queries and events\n\nThey come with 422, `malformed_json` with 400.\n\n\
         | code | what it means |\n| --- | --- |\n",
    );
    for (name, meaning) in code::ALL {
        _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text.push_str(
        "\n## Failed deliveries\n\n`error_reason` of the log's entries with the operation `failed_to_deliver_event`. `error_code` is the HTTP status \
         that the endpoint answered with, 500 where there was none.\n",
    );
    for reason in ErrorReason::ALL {
        let page = reasons::page(reason);
        _ = write!(text, "\n### {reason}\n\n{} {}\n\nWhat to check:\n\n", page.observed, page.then);
        for what in page.check {
            _ = writeln!(text, "- {what}");
        }
        text.push_str(
            "\nHow to see it yourself:\n\n<!-- not run: it is for a destination that fails in this way -->\n```sh\n",
        );
        for command in page.reproduce {
            _ = writeln!(text, "{command}");
        }
        text.push_str("```\n");
    }
    text
}
