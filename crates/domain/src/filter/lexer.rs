//! Splits a filter's text into tokens, one at a time, so that the leftmost fault is reported.

use super::error::{END, Refusal};

/// A token and its position.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    /// Byte offset of its first character.
    pub(super) at: usize,
    /// Its text; empty at the end.
    pub(super) text: &'a str,
    pub(super) kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A keyword, a field name, or a mistyped one.
    Word,
    /// A value, unescaped.
    Value(String),
    Equals,
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    /// Anything outside the language, such as `!=` or `'julia'`.
    Foreign,
    End,
}

impl Token<'_> {
    /// Text for a message's "found".
    pub(super) fn found(&self) -> String {
        if self.kind == Kind::End { END.to_owned() } else { self.text.to_owned() }
    }

    /// Whether it is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

/// A position in a filter's text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next token; at the end, repeatedly the end.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Refusal> {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            return Ok(self.take(0, Kind::End));
        };
        let (length, kind) = match first {
            '=' => (1, Kind::Equals),
            '(' => (1, Kind::Open),
            ')' => (1, Kind::Close),
            '[' => (1, Kind::ListOpen),
            ']' => (1, Kind::ListClose),
            ',' => (1, Kind::Comma),
            '"' => self.value(rest)?,
            first if is_word(first) => (run(rest, is_word), Kind::Word),
            first => (foreign(rest, first), Kind::Foreign),
        };
        Ok(self.take(length, kind))
    }

    fn take(&mut self, length: usize, kind: Kind) -> Token<'a> {
        let at = self.at;
        self.at += length;
        Token { at, text: &self.text[at..self.at], kind }
    }

    /// A value in double quotes: its length including them, and its content.
    fn value(&self, rest: &str) -> Result<(usize, Kind), Refusal> {
        let mut value = String::new();
        let mut chars = rest.char_indices().skip(1);
        let mut last_escape = None;
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return Ok((at + 1, Kind::Value(value))),
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => {
                        last_escape = Some((at, escaped));
                        value.push(escaped);
                    }
                    Some((_, other)) => {
                        return Err(Refusal {
                            at: self.at + at,
                            found: format!("\\{other}"),
                            expected: r#"`\"` or `\\`, the only escapes"#.to_owned(),
                            advice: r"write a backslash as \\".to_owned(),
                        });
                    }
                    None => break,
                },
                other => value.push(other),
            }
        }
        let advice = match last_escape {
            Some((at, '"')) if rest.len() == at + 2 => {
                r#"the last \" is a quote within the value; write a final backslash as \\"#
            }
            _ => r#"end the value with a double quote; write a quote within it as \""#,
        };
        Err(Refusal {
            at: self.at,
            found: rest.to_owned(),
            expected: "a closing double quote".to_owned(),
            advice: advice.to_owned(),
        })
    }
}

/// Wider than the language's words, so that `user-type` is one wrong word rather than three tokens.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn run(rest: &str, within: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !within(c)).unwrap_or(rest.len())
}

/// Length of foreign text best reported as one token: `!=` or a value in the wrong quotes.
fn foreign(rest: &str, first: char) -> usize {
    let after = first.len_utf8();
    let quoted = |end: char| rest[after..].find(end).map(|at| after + at + end.len_utf8());
    let quoted = match first {
        '\'' | '`' => quoted(first),
        '‘' | '’' => quoted('’'),
        '“' | '”' | '„' => quoted('”').or_else(|| quoted('“')),
        '«' => quoted('»'),
        _ => Some(run(rest, |c| matches!(c, '!' | '=' | '<' | '>' | '&' | '|' | '~')).max(after)),
    };
    quoted.unwrap_or(after)
}
