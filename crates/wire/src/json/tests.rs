//! Canonical texts, and positions of errors.

use super::*;

fn check(sent: &str, expect: &str) {
    let tree = parse(sent.as_bytes()).unwrap_or_else(|error| panic!("{sent}: {error}")).to_canonical();
    assert_eq!(tree, expect, "the tree of {sent}");
    let mut direct = "before".to_owned();
    canonicalize(sent.as_bytes(), &mut direct).unwrap_or_else(|error| panic!("{sent}: {error}"));
    assert_eq!(direct, format!("before{expect}"), "one pass over {sent}");
}

fn refused(sent: &[u8], line: u32, column: u32, message: &str) {
    let text = String::from_utf8_lossy(sent).into_owned();
    let tree = parse(sent).expect_err(&text);
    assert_eq!((tree.line, tree.column, tree.message.as_str()), (line, column, message), "the tree of {text}");
    let mut direct = "before".to_owned();
    let error = canonicalize(sent, &mut direct).expect_err(&text);
    assert_eq!(direct, "before");
    assert_eq!((error.line, error.column, error.message.as_str()), (line, column, message), "one pass over {text}");
}

#[test]
fn blanks_go_and_order_stays() {
    check(
        " {\n \"b\" : [ 1 , true ,\tnull , { } , [ ] ] , \"a\" : \"x y\" } \r\n",
        r#"{"b":[1,true,null,{},[]],"a":"x y"}"#,
    );
}

#[test]
fn array_indices_come_first_ascending() {
    check(r#"{"b":0,"10":1,"2":2,"a":3,"0":4}"#, r#"{"0":4,"2":2,"10":1,"b":0,"a":3}"#);
    check(r#"{"x":{"b":0,"\u0031":[{"z":1,"5":2}]},"1":2}"#, r#"{"1":2,"x":{"1":[{"5":2,"z":1}],"b":0}}"#);
    check(
        r#"{"a":0,"4294967295":1,"4294967294":2,"01":3,"-1":4}"#,
        r#"{"4294967294":2,"a":0,"4294967295":1,"01":3,"-1":4}"#,
    );
}

#[test]
fn escapes_are_those_of_json_stringify() {
    check(r#""\/\u002f\u00e9\ud83d\ude00""#, "\"//é😀\"");
    check(
        r#""\u0000\u001F\u0008\u0009\u000a\u000C\u000d\u0022\u005c\u007f""#,
        "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\\u{7f}\"",
    );
    check("\"\u{2028}\\u2029 \\\"quoted\\\" and \\n\"", "\"\u{2028}\u{2029} \\\"quoted\\\" and \\n\"");
    check(r#"{"\u0061":1,"b\/":2}"#, r#"{"a":1,"b/":2}"#);
}

#[test]
fn numbers_take_the_shortest_form_of_the_same_value() {
    for (sent, expect) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e999999999999999999999", "0"),
        ("1.0", "1"),
        ("1E2", "100"),
        ("100e-2", "1"),
        ("1.50", "1.5"),
        ("-12.3400e1", "-123.4"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("123e19", "1.23e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1.5E-10", "1.5e-10"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740994.0", "9007199254740994"),
        ("123456789012345678", "123456789012345678"),
        ("1E400", "1E400"),
        ("-1e-400", "-1e-400"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("1E99999999999999999999", "1E99999999999999999999"),
        ("1E-99999999999999999999", "1E-99999999999999999999"),
        ("999999999999999", "999999999999999"),
        ("1648532032676532.20", "1648532032676532.2"),
        ("1648532032676532.30", "1648532032676532.30"),
        ("0.1", "0.1"),
        ("-0.00", "0"),
        ("1000000000000000000000", "1e+21"),
    ] {
        check(sent, expect);
    }
}

#[test]
fn numbers_are_whole_however_they_are_written() {
    let number = |text: &str| match parse(text.as_bytes()) {
        Ok(Value::Number(number)) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number("1e3").as_u64(), Some(1000));
    assert_eq!(number("-5.0").as_i64(), Some(-5));
    assert_eq!(number("-5").as_u64(), None);
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(number("1.5").as_i64(), None);
    assert_eq!(number("1.50").as_str(), "1.50");
}

#[test]
fn faults_have_a_place() {
    refused(b"", 1, 1, "expected a value, found the end of the text");
    refused(b"{\"a\":1,}", 1, 8, "expected a key in double quotes, found `}`");
    refused(b"{\n  \"\xc3\xa9\": x}", 2, 8, "expected a value, found `x` (in `[\"\u{e9}\"]`)");
    refused(b"[1 2]", 1, 4, "expected `,` or `]`, found `2`");
    refused(b"{\"a\":[0,{\"b\":tru}]}", 1, 14, "expected a value, found `t` (in `a[1].b`)");
    refused(b"1 1", 1, 3, "expected nothing after the value, found `1`");
    refused(b"\xef\xbb\xbf{}", 1, 1, "expected a value, found U+FEFF");
    refused(b"{\"a\" 1}", 1, 6, "expected `:` after the key, found `1`");
    refused(b"\"a\xffb\"", 1, 3, "expected UTF-8, found the invalid byte 0xFF");
    refused(b"\"\xed\xa0\x80\"", 1, 2, "expected UTF-8, found the invalid byte 0xED");
    refused(b"[\"abc", 1, 2, "expected a closing quote for the string that begins here (in `[0]`)");
    refused(
        b"\"abcdefgh\tijk\"",
        1,
        10,
        "expected a string without raw control characters (escape them), found U+0009",
    );
    refused(br#""\x""#, 1, 2, "expected one of `\"\\/bfnrtu` after the backslash");
    refused(br#""\u12g4""#, 1, 2, "expected four hex digits after `\\u`");
    for number in ["01", "-", "1.", ".5", "1e", "+1", "0x10", "NaN", "-Infinity", "1e+"] {
        parse(number.as_bytes()).expect_err(number);
        canonicalize(number.as_bytes(), &mut String::new()).expect_err(number);
    }
}

#[test]
fn the_end_of_plain_text_is_found_at_every_offset() {
    for length in 0..26 {
        for at in 0..=length {
            let around = |found: &str| {
                let text = "é".repeat(13).chars().chain("x".repeat(26).chars()).collect::<Vec<_>>();
                let pick = |range: std::ops::Range<usize>| text[range].iter().collect::<String>();
                format!("\"{}{found}{}\"", pick(26 - at..26), pick(at..length))
            };
            for control in ["\0", "\u{1}", "\t", "\u{1f}"] {
                let error = parse(around(control).as_bytes()).expect_err("a raw control character");
                assert_eq!(error.column as usize, at + 2);
            }
            for plain in [" ", "!", "#", "[", "]", "\u{7f}", "\u{80}", "\u{a0}", "\u{a2}", "\u{7dc}", "\u{10ffff}"] {
                check(&around(plain), &around(plain));
            }
            check(&around("\\\""), &around("\\\""));
            check(&around("\\/"), &around("/"));
        }
    }
}

#[test]
fn lone_surrogates_are_refused() {
    refused(br#"{"a":"x\ud800"}"#, 1, 8, "lone surrogate `\\uD800`: a low surrogate must follow (in `a`)");
    refused(br#""\ud800\u0041""#, 1, 2, "lone surrogate `\\uD800`: a low surrogate must follow");
    refused(br#""\uDC00""#, 1, 2, "lone surrogate `\\uDC00`: a high surrogate must precede it");
    refused(br#"{"\udfff":1}"#, 1, 3, "lone surrogate `\\uDFFF`: a high surrogate must precede it");
}

#[test]
fn duplicate_keys_are_refused_unescaped_and_at_any_depth() {
    refused(br#"{"a":1,"b":2,"a":3}"#, 1, 14, "duplicate key \"a\"");
    refused(br#"[{"x":{"a":1,"\u0061":3}}]"#, 1, 14, "duplicate key \"a\" (in `[0].x`)");
    refused(br#"{"/":1,"\/":3}"#, 1, 8, "duplicate key \"/\"");
    let many = |last: &str| {
        let members: Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{},{last}}}", members.join(","))
    };
    check(&many("\"k40\":0"), &many("\"k40\":0"));
    refused(many("\"k7\":0,\"k3\":0").as_bytes(), 1, 342, "duplicate key \"k7\"");
}

#[test]
fn nesting_ends_at_128() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(128), &nested(128));
    let error = parse(nested(129).as_bytes()).expect_err("too deep");
    assert_eq!(error.column, 129);
    assert!(
        error.to_string().starts_with("invalid JSON at line 1, column 129: expected at most 128 levels"),
        "{error}"
    );
    canonicalize(nested(200_000).as_bytes(), &mut String::new()).expect_err("too deep");
    let objects = "{\"a\":".repeat(200_000);
    parse(objects.as_bytes()).expect_err("too deep");
    let error = canonicalize(objects.as_bytes(), &mut String::new()).expect_err("too deep");
    assert!(error.message.len() < 400, "{error}");
}
