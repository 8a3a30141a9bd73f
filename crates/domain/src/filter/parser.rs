//! Parses a filter's text to its tree (grammar of contract page 3). Errors have a position, the text found, the text
//! expected and a suggestion.

use super::error::{END, FilterError, Refusal};
use super::expr::{Condition, Expr, Field, Quoted, Values};
use super::lexer::{Kind, Lexer, Token};
use super::{MAX_LENGTH, MAX_NESTING, MAX_OPERATORS, USER_TYPES};
use crate::nearest::nearest;

const KEYWORDS: [&str; 4] = ["and", "or", "not", "in"];
const A_VALUE: &str = "a value in double quotes";

/// Parses a non-blank filter.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    parse_text(text).map_err(|refusal| refusal.into_error(text))
}

fn parse_text(text: &str) -> Result<Expr, Refusal> {
    if let Some((at, _)) = text.char_indices().nth(MAX_LENGTH) {
        let length = text.chars().count();
        return Err(Refusal {
            at,
            found: format!("{length} characters"),
            expected: format!("at most {MAX_LENGTH} characters"),
            advice: "`in [\"…\", \"…\"]` is a shorter form of several conditions joined by `or`".to_owned(),
        });
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.next()?;
    let mut parser = Parser { text, lexer, token, operators: 0, open: Vec::new() };
    let expr = parser.or()?;
    match parser.token.kind {
        Kind::End => Ok(expr),
        _ => Err(parser.not_joined()),
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The next token.
    token: Token<'a>,
    operators: usize,
    /// Byte offsets of open parentheses.
    open: Vec<usize>,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Expr, Refusal> {
        self.joined("or", Parser::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Expr, Refusal> {
        self.joined("and", Parser::unary, Expr::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Parser<'a>) -> Result<Expr, Refusal>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, Refusal> {
        let first = part(self)?;
        if !self.token.is(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.token.is(word) {
            self.operator()?;
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn unary(&mut self) -> Result<Expr, Refusal> {
        if self.token.is("not") {
            self.operator()?;
            return Ok(Expr::Not(Box::new(self.unary()?)));
        }
        if self.token.kind != Kind::Open {
            return self.condition().map(Expr::Condition);
        }
        if self.open.len() == MAX_NESTING {
            let expected = format!("at most {MAX_NESTING} nested parentheses");
            return Err(self.refuse(
                expected,
                "remove unnecessary parentheses: `not` binds closer than `and`, `and` closer than `or`",
            ));
        }
        self.open.push(self.token.at);
        self.advance()?;
        let inner = self.or()?;
        if self.token.kind != Kind::Close {
            return Err(self.not_joined());
        }
        self.advance()?;
        self.open.pop();
        Ok(inner)
    }

    fn condition(&mut self) -> Result<Condition, Refusal> {
        let Some(field) = Field::named(self.token.text).filter(|_| self.token.kind == Kind::Word) else {
            return Err(self.not_a_condition());
        };
        self.advance()?;
        if self.token.kind == Kind::Equals {
            self.advance()?;
            return Ok(Condition { field, values: Values::Equals(self.value(field, None)?) });
        }
        if !self.token.is("in") {
            return Err(self.not_compared(field));
        }
        self.operator()?;
        self.list(field).map(|values| Condition { field, values: Values::In(values) })
    }

    fn list(&mut self, field: Field) -> Result<Vec<String>, Refusal> {
        if self.token.kind != Kind::ListOpen {
            let value = match &self.token.kind {
                Kind::Value(_) => self.token.text,
                _ => r#""…""#,
            };
            let advice = format!("`in` takes a list: {} in [{value}]", field.name());
            return Err(self.refuse("`[` and a list of values", advice));
        }
        self.advance()?;
        let mut values = Vec::new();
        loop {
            values.push(self.value(field, Some(values.len()))?);
            match self.token.kind {
                Kind::Comma => self.advance()?,
                Kind::ListClose => break,
                Kind::Value(_) => return Err(self.refuse("`,` or `]`", "values of a list are separated by commas")),
                _ => return Err(self.refuse("`,` or `]`", "a list ends with `]`")),
            }
        }
        self.advance()?;
        Ok(values)
    }

    /// The required value; `listed`: number of preceding values of a list.
    fn value(&mut self, field: Field, listed: Option<usize>) -> Result<String, Refusal> {
        let Kind::Value(value) = &self.token.kind else {
            return Err(self.not_a_value(field, listed));
        };
        if field == Field::UserType && !USER_TYPES.contains(&value.as_str()) {
            let expected = one_of(&USER_TYPES.map(|name| format!("\"{name}\"")));
            let advice = match nearest(value, USER_TYPES) {
                Some(name) => format!("did you mean user_type=\"{name}\"?"),
                None => "user_type is the kind of author; for a specific author, write user=\"…\"".to_owned(),
            };
            return Err(self.refuse(expected, advice));
        }
        let value = value.clone();
        self.advance()?;
        Ok(value)
    }

    /// Consumes an operator, unless there are too many.
    fn operator(&mut self) -> Result<(), Refusal> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let expected = format!("at most {MAX_OPERATORS} operators (`and`, `or`, `not`, `in`)");
            let advice = "`in [\"…\", \"…\"]` counts once and can replace several conditions joined by `or`";
            return Err(self.refuse(expected, advice));
        }
        self.advance()
    }

    fn advance(&mut self) -> Result<(), Refusal> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn refuse(&self, expected: impl Into<String>, advice: impl Into<String>) -> Refusal {
        Refusal { at: self.token.at, found: self.token.found(), expected: expected.into(), advice: advice.into() }
    }

    /// A condition must begin with a field, `not` or `(`.
    fn not_a_condition(&self) -> Refusal {
        let fields = Field::ALL.map(|field| format!("`{}`", field.name()));
        let expected = format!("a condition: {}, `not` or `(`", fields.join(", "));
        let word = self.token.text;
        let lower = word.to_lowercase();
        let advice = match self.token.kind {
            Kind::Word if KEYWORDS.contains(&word) => format!("`{word}` must stand between two conditions"),
            Kind::Word if lower == "not" || Field::named(&lower).is_some() => lower_case(&lower),
            Kind::Word => match nearest(word, Field::ALL.map(Field::name)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => {
                    format!("unknown field `{word}`; for changes of that attribute, write attribute=\"{word}\"")
                }
            },
            Kind::Value(_) => format!("a condition begins with its field: user={word}"),
            Kind::Foreign if word.starts_with('!') => "write `not` before a condition".to_owned(),
            Kind::End if self.text.trim_end().ends_with('(') => "a condition must follow the parenthesis".to_owned(),
            Kind::End => "a condition must follow here, such as user=\"julia\"".to_owned(),
            _ => "a condition looks like user=\"julia\" or attribute in [\"name\", \"price\"]".to_owned(),
        };
        self.refuse(expected, advice)
    }

    /// A field must be followed by `=` or `in`.
    fn not_compared(&self, field: Field) -> Refusal {
        let name = field.name();
        let advice = match (&self.token.kind, self.token.text) {
            (Kind::Word, word) if word.eq_ignore_ascii_case("in") => lower_case("in"),
            (Kind::Word, "not") => format!("write not {name} in [\"…\"]"),
            (Kind::Foreign, "!=" | "<>" | "!") => format!("write not {name}=\"…\""),
            (Kind::ListOpen, _) => format!("write {name} in [\"…\"]"),
            (Kind::Value(_), value) => format!("write {name}={value}"),
            _ => format!("write {name}=\"…\" or {name} in [\"…\", \"…\"]"),
        };
        self.refuse("`=` or `in`", advice)
    }

    /// A value in double quotes is missing.
    fn not_a_value(&self, field: Field, listed: Option<usize>) -> Refusal {
        let mut refusal = self.refuse(A_VALUE, "");
        refusal.advice = match (&self.token.kind, listed) {
            (Kind::ListClose, Some(0)) => "a list needs at least one value".to_owned(),
            (Kind::ListClose | Kind::Comma, Some(_)) => "a comma is only allowed between two values".to_owned(),
            (Kind::ListOpen, None) => format!("a list needs `in`: {} in [\"…\"]", field.name()),
            (Kind::Equals, None) => format!("use a single `=`: {}=\"…\"", field.name()),
            (Kind::Word | Kind::Foreign, _) => {
                // A value without quotes, or with other ones: report all of it.
                let rest = &self.text[self.token.at..];
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | ',' | '"'));
                let bare = &rest[..end.unwrap_or(rest.len()).max(self.token.text.len())];
                refusal.found = bare.to_owned();
                let value = Quoted(unquoted(bare));
                match listed {
                    None => format!("values must be in double quotes: {}={value}", field.name()),
                    Some(_) => format!("values must be in double quotes: {value}"),
                }
            }
            _ => "values must be in double quotes".to_owned(),
        };
        refusal
    }

    /// A complete condition must be followed by an operator or a closing parenthesis.
    fn not_joined(&self) -> Refusal {
        let expected =
            if self.open.is_empty() { format!("`and`, `or` or {END}") } else { "`and`, `or` or `)`".to_owned() };
        let word = self.token.text;
        let lower = word.to_lowercase();
        let advice = match (&self.token.kind, self.open.last()) {
            (Kind::End, Some(at)) => {
                format!("the parenthesis at column {} is not closed", self.text[..*at].chars().count() + 1)
            }
            (Kind::Close, None) => "unmatched parenthesis".to_owned(),
            (Kind::Word, _) if lower == "and" || lower == "or" => lower_case(&lower),
            (Kind::Comma | Kind::Foreign, _) if word == "," || word == "&" || word == "&&" => "write `and`".to_owned(),
            (Kind::Foreign, _) if word == "|" || word == "||" => "write `or`".to_owned(),
            (Kind::Word, _) if Field::named(word).is_some() || word == "not" => {
                format!("join two conditions with `and` or `or`: … and {word} …")
            }
            _ => "join two conditions with `and` or `or`".to_owned(),
        };
        self.refuse(expected, advice)
    }
}

fn lower_case(word: &str) -> String {
    format!("keywords and field names must be in lower case: `{word}`")
}

/// A value without its foreign quotes.
fn unquoted(bare: &str) -> &str {
    bare.trim_matches(|c| "'`‘’“”„«»".contains(c))
}

fn one_of(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}
