//! The elements of one array of a document, each as sent: a faulty element does not affect the others.

use super::Value;
use super::escape::unescape;
use super::place::{JsonError, Problem, text_of};
use super::reader::Reader;
use super::tree::parse;

type Result<T> = std::result::Result<T, Box<Problem>>;

/// A document in two parts.
#[derive(Clone, PartialEq, Debug)]
pub struct Pieces<'t> {
    /// The document, with that array empty.
    pub rest: Value,
    /// The elements of the array as sent; `None` if there is no array.
    pub elements: Option<Vec<&'t str>>,
}

/// Splits a document at the array at `path`. All of it must be JSON; the stricter rules of [`parse`] (unique keys, no
/// lone surrogates, limited depth) apply only outside the array.
pub fn pieces<'t>(text: &'t [u8], path: &[&str]) -> std::result::Result<Pieces<'t>, JsonError> {
    let found = taken_apart(text, path).map_err(|problem| problem.placed(text))?;
    let Some((opening, elements, closing)) = found else {
        return Ok(Pieces { rest: parse(text)?, elements: None });
    };
    let rest = parse(&[&text[..=opening], &text[closing..]].concat())?;
    Ok(Pieces { rest, elements: Some(elements) })
}

/// Positions of the array's brackets, and its elements.
fn taken_apart<'t>(text: &'t [u8], path: &[&str]) -> Result<Option<(usize, Vec<&'t str>, usize)>> {
    let text = text_of(text)?;
    let mut reader = Reader::new(text);
    skip(&mut reader)?;
    reader.end()?;
    // It is valid JSON: nothing fails from here on.
    let mut reader = Reader::new(text);
    for key in path {
        if !enter(&mut reader, key)? {
            return Ok(None);
        }
    }
    reader.skip_blanks();
    if reader.peek() != Some(b'[') {
        return Ok(None);
    }
    let opening = reader.at;
    let mut elements = Vec::new();
    loop {
        // Past the bracket or a comma.
        reader.at += 1;
        reader.skip_blanks();
        if reader.peek() == Some(b']') {
            return Ok(Some((opening, elements, reader.at)));
        }
        let start = reader.at;
        skip(&mut reader)?;
        elements.extend(text.get(start..reader.at));
        reader.skip_blanks();
        if reader.peek() == Some(b']') {
            return Ok(Some((opening, elements, reader.at)));
        }
    }
}

/// Moves to the value of a key of the object that begins here; `false` if the key is missing.
fn enter(reader: &mut Reader<'_>, wanted: &str) -> Result<bool> {
    reader.skip_blanks();
    if reader.peek() != Some(b'{') {
        return Ok(false);
    }
    loop {
        // Past the brace or a comma.
        reader.at += 1;
        reader.skip_blanks();
        if reader.peek() != Some(b'"') {
            return Ok(false);
        }
        let key = key(reader)?;
        if unescape(key) == wanted {
            return Ok(true);
        }
        skip(reader)?;
        reader.skip_blanks();
        if reader.peek() != Some(b',') {
            return Ok(false);
        }
    }
}

/// Reads a key and its colon.
fn key<'t>(reader: &mut Reader<'t>) -> Result<&'t str> {
    reader.skip_blanks();
    if reader.peek() != Some(b'"') {
        return Err(reader.expected("a key in double quotes"));
    }
    let key = reader.any_string()?;
    reader.skip_blanks();
    reader.expect(b':', "`:` after the key")?;
    Ok(key)
}

/// Skips a value of any depth: open brackets are on a stack of one byte each.
fn skip(reader: &mut Reader<'_>) -> Result<()> {
    let mut open: Vec<u8> = Vec::new();
    loop {
        reader.skip_blanks();
        match reader.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                // `{` and `}`, `[` and `]` are two apart in ASCII.
                let closing = bracket + 2;
                reader.at += 1;
                reader.skip_blanks();
                if reader.peek() != Some(closing) {
                    open.push(closing);
                    if closing == b'}' {
                        key(reader)?;
                    }
                    continue;
                }
                reader.at += 1;
            }
            Some(b'"') => _ = reader.any_string()?,
            Some(b'-' | b'0'..=b'9') => _ = reader.number()?,
            _ => _ = reader.word()?,
        }
        loop {
            let Some(closing) = open.last().copied() else { return Ok(()) };
            reader.skip_blanks();
            if reader.peek() == Some(b',') {
                reader.at += 1;
                if closing == b'}' {
                    key(reader)?;
                }
                break;
            }
            reader.expect(closing, if closing == b'}' { "`,` or `}`" } else { "`,` or `]`" })?;
            open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &[&str], rest: &str, elements: Option<&[&str]>) {
        let found = pieces(text.as_bytes(), path).unwrap();
        assert_eq!(found.rest.to_canonical(), rest, "{text}");
        assert_eq!(found.elements.as_deref(), elements, "{text}");
    }

    #[test]
    fn elements_keep_their_text() {
        check(
            r#" {"a":1,"events":[ {"x" : "],\"" } ,[1,[2]],"\ud800", 1.0]} "#,
            &["events"],
            r#"{"a":1,"events":[]}"#,
            Some(&[r#"{"x" : "],\"" }"#, "[1,[2]]", r#""\ud800""#, "1.0"]),
        );
        check(
            r#"{"a":{"z":{"events":1},"events":[true,{}]},"events":[]}"#,
            &["a", "events"],
            r#"{"a":{"z":{"events":1},"events":[]},"events":[]}"#,
            Some(&["true", "{}"]),
        );
        check(r#"{"\u0065vents":[]}"#, &["events"], r#"{"events":[]}"#, Some(&[]));
        check("[1]", &[], "[]", Some(&["1"]));
        for other in
            ["{}", "[]", "1", r#"{"events":{}}"#, r#"{"events":null}"#, r#"{"a":[1]}"#, r#"{"x":{"events":[]}}"#]
        {
            check(other, &["events"], other, None);
        }
    }

    #[test]
    fn any_depth_is_skipped_without_recursion() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        let text = format!("{{\"events\":[{deep},{{\"a\":1,\"a\":2}}]}}");
        let found = pieces(text.as_bytes(), &["events"]).unwrap();
        assert_eq!(found.elements, Some(vec![deep.as_str(), r#"{"a":1,"a":2}"#]));
    }

    #[test]
    fn all_of_it_must_be_json() {
        for broken in [
            "",
            "{",
            r#"{"events":["#,
            r#"{"events":[1}"#,
            r#"{"events":[1,]}"#,
            r#"{"events":[{]}"#,
            r#"{"events":[{"a":}]}"#,
            r#"{"events":[tru]}"#,
            r#"{"events":["\x"]}"#,
            r#"{"events":["\u12g4"]}"#,
            r#"{"events":[01]}"#,
            r#"{"events":[]}x"#,
            r#"{"events":[{"a" 1}]}"#,
            r#"{"events":[1 2]}"#,
            "{\"events\":[\"\n\"]}",
            r#"{"events":[{"a":1,}]}"#,
            r#"{events:[]}"#,
        ] {
            assert!(pieces(broken.as_bytes(), &["events"]).is_err(), "{broken}");
        }
        assert!(pieces(b"{\"events\":[\"\xff\"]}", &["events"]).is_err());
        // The stricter rules apply around the array.
        assert!(pieces(br#"{"events":[],"events":[]}"#, &["events"]).is_err());
        assert!(pieces(br#"{"events":[],"a":"\ud800"}"#, &["events"]).is_err());
    }
}
