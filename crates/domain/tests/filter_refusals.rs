//! Rejected filters, with positions and messages: a person must be able to correct the filter from the response.

use domain::filter::{Filter, FilterError};

fn refuse(filter: &str) -> FilterError {
    match Filter::parse(filter) {
        Err(error) => error,
        Ok(accepted) => panic!("accepted: {accepted:?}"),
    }
}

#[track_caller]
fn check(filter: &str, column: usize, found: &str, expected: &str, advice: &str) {
    let error = refuse(filter);
    let got = (error.column, error.found.as_str(), error.expected.as_str(), error.hint.lines().last().unwrap_or(""));
    assert_eq!(got, (column, found, expected, advice), "{filter}");
    assert!(error.message.starts_with(&format!("filter, column {column}: found ")), "{}", error.message);
    assert!(error.message.ends_with(expected), "{}", error.message);
}

const END: &str = "the end of the filter";
const VALUE: &str = "a value in double quotes";
const CONDITION: &str = "a condition: `user`, `user_type`, `attribute`, `scope`, `channel`, `locale`, `not` or `(`";
const JOIN: &str = "`and`, `or` or the end of the filter";
const JOIN_INSIDE: &str = "`and`, `or` or `)`";
const COMPARE: &str = "`=` or `in`";
const MORE: &str = "`,` or `]`";

#[test]
fn values() {
    check("user=julia", 6, "julia", VALUE, r#"values must be in double quotes: user="julia""#);
    check("user='julia'", 6, "'julia'", VALUE, r#"values must be in double quotes: user="julia""#);
    check("user = “julia”", 8, "“julia”", VALUE, r#"values must be in double quotes: user="julia""#);
    check(
        "user=julia@shop.example)",
        6,
        "julia@shop.example",
        VALUE,
        r#"values must be in double quotes: user="julia@shop.example""#,
    );
    check("user==\"julia\"", 6, "=", VALUE, r#"use a single `=`: user="…""#);
    check("user=", 6, END, VALUE, "values must be in double quotes");
    check("locale=[\"fr_FR\"]", 8, "[", VALUE, r#"a list needs `in`: locale in ["…"]"#);
    let types = r#""user", "api", "job", "system" or "unknown-user-type""#;
    check(
        "user_type=\"robot\"",
        11,
        "\"robot\"",
        types,
        "user_type is the kind of author; for a specific author, write user=\"…\"",
    );
    check("user_type in [\"api\", \"sytem\"]", 22, "\"sytem\"", types, "did you mean user_type=\"system\"?");
    check("user_type=\"User\"", 11, "\"User\"", types, "did you mean user_type=\"user\"?");
}

#[test]
fn strings() {
    let quote = "a closing double quote";
    check("user=\"julia", 6, "\"julia", quote, r#"end the value with a double quote; write a quote within it as \""#);
    check(
        r#"user="C:\""#,
        6,
        r#""C:\""#,
        quote,
        r#"the last \" is a quote within the value; write a final backslash as \\"#,
    );
    check("user=\"a\\", 6, "\"a\\", quote, r#"end the value with a double quote; write a quote within it as \""#);
    check(r#"user="SHOP\julia""#, 11, r"\j", r#"`\"` or `\\`, the only escapes"#, r"write a backslash as \\");
    check("user=\"é🦀\\n\"", 9, r"\n", r#"`\"` or `\\`, the only escapes"#, r"write a backslash as \\");
}

#[test]
fn lists() {
    check("attribute in []", 15, "]", VALUE, "a list needs at least one value");
    check("attribute in [\"a\",]", 19, "]", VALUE, "a comma is only allowed between two values");
    check("attribute in [,\"a\"]", 15, ",", VALUE, "a comma is only allowed between two values");
    check("attribute in \"a\"", 14, "\"a\"", "`[` and a list of values", r#"`in` takes a list: attribute in ["a"]"#);
    check("attribute in (\"a\")", 14, "(", "`[` and a list of values", r#"`in` takes a list: attribute in ["…"]"#);
    check("attribute in [\"a\" \"b\"]", 19, "\"b\"", MORE, "values of a list are separated by commas");
    check("attribute in [\"a\"", 18, END, MORE, "a list ends with `]`");
    check("attribute in [name]", 15, "name", VALUE, r#"values must be in double quotes: "name""#);
    check("attribute [\"a\"]", 11, "[", COMPARE, r#"write attribute in ["…"]"#);
}

#[test]
fn fields_and_comparisons() {
    check("User=\"julia\"", 1, "User", CONDITION, "keywords and field names must be in lower case: `user`");
    check(
        "price=\"12\"",
        1,
        "price",
        CONDITION,
        "unknown field `price`; for changes of that attribute, write attribute=\"price\"",
    );
    check("user-type=\"api\"", 1, "user-type", CONDITION, "did you mean `user_type`?");
    check("\"julia\"=user", 1, "\"julia\"", CONDITION, "a condition begins with its field: user=\"julia\"");
    check("user != \"julia\"", 6, "!=", COMPARE, r#"write not user="…""#);
    check("attribute IN [\"a\"]", 11, "IN", COMPARE, "keywords and field names must be in lower case: `in`");
    check("attribute not in [\"a\"]", 11, "not", COMPARE, r#"write not attribute in ["…"]"#);
    check("user \"julia\"", 6, "\"julia\"", COMPARE, r#"write user="julia""#);
    check("user", 5, END, COMPARE, r#"write user="…" or user in ["…", "…"]"#);
    check("user > \"a\"", 6, ">", COMPARE, r#"write user="…" or user in ["…", "…"]"#);
}

#[test]
fn joining() {
    let lower = |word: &str| format!("keywords and field names must be in lower case: `{word}`");
    check("user=\"a\" AND user_type=\"api\"", 10, "AND", JOIN, &lower("and"));
    check("(user=\"a\" Or user=\"b\")", 11, "Or", JOIN_INSIDE, &lower("or"));
    check("NOT user=\"a\"", 1, "NOT", CONDITION, &lower("not"));
    check(
        "user=\"a\" user_type=\"api\"",
        10,
        "user_type",
        JOIN,
        "join two conditions with `and` or `or`: … and user_type …",
    );
    check("user=\"a\" && user=\"b\"", 10, "&&", JOIN, "write `and`");
    check("user=\"a\" || user=\"b\"", 10, "||", JOIN, "write `or`");
    check("user=\"a\", user=\"b\"", 9, ",", JOIN, "write `and`");
    check("!user=\"a\"", 1, "!", CONDITION, "write `not` before a condition");
    check("not", 4, END, CONDITION, "a condition must follow here, such as user=\"julia\"");
    check("user=\"a\" and ", 14, END, CONDITION, "a condition must follow here, such as user=\"julia\"");
    check("user=\"a\" or and user=\"b\"", 13, "and", CONDITION, "`and` must stand between two conditions");
    check("(user=\"julia\"", 14, END, JOIN_INSIDE, "the parenthesis at column 1 is not closed");
    check("user=\"julia\")", 13, ")", JOIN, "unmatched parenthesis");
    check("()", 2, ")", CONDITION, "a condition looks like user=\"julia\" or attribute in [\"name\", \"price\"]");
    check("not (", 6, END, CONDITION, "a condition must follow the parenthesis");
}

#[test]
fn limits() {
    let condition = r#"user="x""#;
    let joined = |count: usize, with: &str| vec![condition; count].join(with);
    assert!(Filter::parse(&joined(11, " and ")).is_ok());
    let operators = "at most 10 operators (`and`, `or`, `not`, `in`)";
    let shorter = "`in [\"…\", \"…\"]` counts once and can replace several conditions joined by `or`";
    check(&joined(12, " and "), 8 * 11 + 5 * 10 + 2, "and", operators, shorter);
    check(&format!("{}{condition}", "not ".repeat(11)), 41, "not", operators, shorter);
    check(&format!("{} or user in [\"a\"]", joined(10, " or ")), 8 * 10 + 4 * 10 + 6, "in", operators, shorter);

    let nested = |depth: usize| format!("{}{condition}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(10)).is_ok());
    let advice = "remove unnecessary parentheses: `not` binds closer than `and`, `and` closer than `or`";
    check(&nested(11), 11, "(", "at most 10 nested parentheses", advice);

    // Code points, not bytes: 500 of them with crabs in between are valid.
    let long = |length: usize| format!("user=\"{}\"", "🦀".repeat(length - 7));
    assert!(Filter::parse(&long(500)).is_ok());
    let advice = "`in [\"…\", \"…\"]` is a shorter form of several conditions joined by `or`";
    check(&long(501), 501, "501 characters", "at most 500 characters", advice);
    check(&format!("{condition}{}", " ".repeat(493)), 501, "501 characters", "at most 500 characters", advice);
}

#[test]
fn the_hint_points_at_the_place() {
    assert_eq!(
        refuse("attribute=\"name\" and\nuser=julia or user=\"x\"").hint,
        "attribute=\"name\" and user=julia or user=\"x\"\n                          ^\n\
         values must be in double quotes: user=\"julia\""
    );
    let long = refuse(&format!("user=\"{}\" and usr=\"{}\"", "a".repeat(200), "b".repeat(200)));
    let lines: Vec<&str> = long.hint.lines().collect();
    let place = lines[1].find('^').expect("a caret");
    assert!(lines[0].chars().skip(place).collect::<String>().starts_with("usr="), "{}", long.hint);
    assert!(lines[0].chars().count() < 100, "{}", long.hint);
    assert_eq!(long.message.split(", expected").next(), Some("filter, column 213: found `usr`"));
}

#[test]
fn a_line_break_within_a_value_does_not_break_the_hint() {
    let error = refuse("(\"a\nb\"");
    assert_eq!(error.hint, "(\"a b\"\n ^\na condition begins with its field: user=\"a b\"");
    assert_eq!(error.found, "\"a\nb\"");
    assert_eq!(error.message.lines().count(), 1);
}

#[test]
fn blank_is_no_filter() {
    for blank in ["", " ", "\t\r\n ", &" ".repeat(600)] {
        assert_eq!(Filter::parse(blank), Ok(None));
    }
}

#[test]
fn reads_back_as_it_was_sent() {
    let sent = "  user  =\n\"a\\\"b\\\\\" ";
    let filter = Filter::parse(sent).expect("valid").expect("not blank");
    assert_eq!(filter.as_str(), sent);
    let json = serde_json::to_string(&filter).expect("a string");
    assert_eq!(json, serde_json::to_string(sent).expect("a string"));
    assert_eq!(serde_json::from_str::<Filter>(&json).expect("the same"), filter);
    let refused = serde_json::from_str::<Filter>("\"user=julia\"").expect_err("not valid");
    assert!(refused.to_string().starts_with("filter, column 6: found `julia`"), "{refused}");
    assert!(serde_json::from_str::<Filter>("\" \"").is_err());
}
